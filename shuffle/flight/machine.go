package flight

import (
	"cmp"
	"os"
	"strings"
)

// Machine names the machine whose sockets this process can open, as shuffle.Server.Host:
// its host name, and what tells two machines of the same name apart.
func Machine() string {
	name, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return cmp.Or(name, "localhost") + "/" + strings.TrimSpace(string(boot))
}
