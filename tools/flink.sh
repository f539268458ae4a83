#!/usr/bin/env bash
# usage: tools/flink.sh DESTINATION
# Puts Apache Flink together at DESTINATION, as `tidemill bench nexmark --peer flink` runs it. The
# Python packages hold the distribution in two parts; the SQL gateway and the format Parquet are in
# neither and come, by flink.sum, from Maven Central.
set -euo pipefail
destination=$1
version=2.2.1
here=$(cd "$(dirname "$0")" && pwd)
source "$here/jars.sh"

"$here/need.sh" java openjdk-17-jre-headless
"$here/need.sh" unzip unzip
"$here/need.sh" pip3 python3-pip

new=$destination.new
rm -rf "$new" && mkdir -p "$new/get" "$new/lib"
get=(pip3 download --quiet --no-deps --dest "$new/get")
"${get[@]}" --no-binary :all: "apache-flink-libraries==$version"
"${get[@]}" --only-binary :all: "apache-flink==$version"
tar xzf "$new"/get/apache_flink_libraries-*.tar.gz -C "$new/get"
unzip -q -o "$new"/get/apache_flink-*.whl 'pyflink/bin/*' 'pyflink/conf/*' -d "$new/get"
mv "$new"/get/pyflink/{bin,conf} "$new"
cp -r "$new/get/apache_flink_libraries-$version"/deps/{lib,opt,plugins,bin} "$new"
chmod +x "$new"/bin/*
rm -rf "$new/get"

add_jars "$here/flink.sum" "$new/lib"
mv "$new"/lib/flink-sql-gateway-*.jar "$new/opt"
rm -rf "$destination" && mv "$new" "$destination"
