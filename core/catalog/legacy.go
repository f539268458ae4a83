package catalog

import "strings"

// modernise turns the options that Flink had before 'connector' into those that it has now:
// published tables are still written with them.
//
//	'connector.type' = 'filesystem', 'connector.path' = p   'connector' = 'filesystem', 'path' = p
//	'format.type' = 'csv', 'format.k' = v                   'format' = 'csv', 'csv.k' = v
func modernise(options map[string]string) {
	kind, old := options["connector.type"]
	if _, now := options[OptionConnector]; now || !old {
		return
	}
	format := options["format.type"]
	renamed := map[string]string{OptionConnector: kind}
	if format != "" {
		renamed["format"] = format
	}
	for key, value := range options {
		prefix, rest, dotted := strings.Cut(key, ".")
		switch {
		case key == "connector.type", key == "format.type", key == "connector.property-version",
			key == "format.property-version", key == "format.derive-schema", key == "update-mode":
		case dotted && prefix == "connector":
			renamed[rest] = value
		case dotted && prefix == "format":
			renamed[format+"."+rest] = value
		default:
			renamed[key] = value
		}
	}
	clear(options)
	for key, value := range renamed {
		options[key] = value
	}
}
