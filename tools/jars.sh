# For scripts that need jars: source it. A list has the lines of sha256sum, with paths on Maven Central.
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# add_jars LIST DIRECTORY: fetches the jars of a list into a directory that is there.
add_jars() {
	local path
	"$tools/need.sh" curl curl ca-certificates
	while read -r _ path; do
		printf 'url = "%s"\noutput = "%s"\n' "${MAVEN_CENTRAL:-https://repo1.maven.org/maven2}/$path" "$2/${path##*/}"
	done <"$1" | curl -fsS --no-progress-meter --retry 3 --parallel --parallel-max 8 -K -
	sed -E 's| .*/| *|' "$1" | (cd "$2" && sha256sum --check --quiet)
}

# keep_jars LIST DIRECTORY: has just the jars of a list in a directory, all or none.
keep_jars() {
	cmp -s "$1" "$2/${1##*/}" && return
	rm -rf "$2.new" && mkdir -p "$2.new"
	add_jars "$1" "$2.new"
	cp "$1" "$2.new"
	rm -rf "$2" && mv "$2.new" "$2"
}
