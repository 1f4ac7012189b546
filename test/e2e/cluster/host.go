package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The addresses inside.
const (
	NodeIP       = "10.245.0.1" // where pods reach the test's own servers
	apiServiceIP = "10.96.0.1"
	dnsServiceIP = "10.96.0.10"
	serviceRange = "10.96.0.0/16"
	podRange     = "10.244.0.0/20"
)

// logFolder is in the cluster's folder.
const logFolder = "logs"

// mountPoints are fixed paths that components write to. Inside they are empty and end with the
// namespace.
func mountPoints() []string {
	return []string{"/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet"}
}

// makeMountPoints creates the missing ones, and returns them.
func makeMountPoints() (created []string, err error) {
	for _, folder := range mountPoints() {
		switch err := os.Mkdir(folder, 0o755); {
		case err == nil:
			created = append(created, folder)
		case !errors.Is(err, fs.ErrExist):
			return created, err
		}
	}
	return created, nil
}

// setUpHost sets up the machine for process 1: its own /proc, empty folders where components
// write, one network interface, and the cluster's DNS.
func setUpHost(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts from the outside: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, folder := range mountPoints() {
		if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", folder, err)
		}
	}
	ctx := context.Background()
	for _, command := range []string{
		"link set lo up",
		"link add node0 type veth peer name node0p",
		"link set node0p up",
		"addr add " + NodeIP + "/24 dev node0",
		"link set node0 up",
		"route add default dev node0",
	} {
		if _, err := run(ctx, dir, nil, "ip", strings.Fields(command)...); err != nil {
			return err
		}
	}
	for name, value := range map[string]string{"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/route_localnet": "1"} {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	// Without the module bridged traffic never meets the firewall, which is also the effect of the
	// other value.
	if err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set bridge-nf-call-iptables: %w", err)
	}
	resolver := filepath.Join(dir, "resolv.conf")
	text := "nameserver " + dnsServiceIP + "\nsearch svc.cluster.local cluster.local\noptions ndots:3\n"
	if err := os.WriteFile(resolver, []byte(text), 0o644); err != nil {
		return err
	}
	system, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return err
	}
	if err := unix.Mount(resolver, system, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount resolv.conf: %w", err)
	}
	return nil
}
