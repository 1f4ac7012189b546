package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// pluginFolder is Debian's folder of network plugins.
const pluginFolder = "/usr/lib/cni"

// Missing names what the machine lacks for a cluster, with the Debian packages that contain it.
func Missing() error {
	var faults, packages []string
	if os.Geteuid() != 0 {
		faults = append(faults, "the user is not root, who alone makes namespaces, mounts and control groups")
	}
	need := func(has bool, what, pkg string) {
		if !has {
			faults, packages = append(faults, what), append(packages, pkg)
		}
	}
	for program, pkg := range map[string]string{
		"ip": "iproute2", "nft": "nftables", "conntrack": "conntrack", "mount": "mount", "gcc": "gcc libc6-dev", "pkg-config": "pkg-config",
	} {
		_, err := exec.LookPath(program)
		need(err == nil, "program "+program, pkg)
	}
	for _, plugin := range []string{"bridge", "host-local", "loopback"} {
		_, err := os.Stat(filepath.Join(pluginFolder, plugin))
		need(err == nil, "network plugin "+plugin, "containernetworking-plugins")
	}
	need(exec.Command("pkg-config", "--exists", "libseccomp").Run() == nil, "library libseccomp", "libseccomp-dev")
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	slices.Sort(packages)
	hint := ""
	if packages = slices.Compact(packages); len(packages) > 0 {
		hint = "\n  apt-get install -y --no-install-recommends " + strings.Join(packages, " ")
	}
	return fmt.Errorf("a cluster cannot run here; missing: %s%s", strings.Join(faults, ", "), hint)
}
