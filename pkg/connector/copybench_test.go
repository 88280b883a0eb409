package connector_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// BenchmarkCopy copies a file of 256 MiB each way: ours over SFTP and with tar, beside OpenSSH's scp, with the same server and cipher.
func BenchmarkCopy(b *testing.B) {
	const size = 256 << 20
	sftpServer := startSSHD(b, "Subsystem sftp internal-sftp", "Ciphers aes128-gcm@openssh.com")
	tarServer := startSSHD(b, "Ciphers aes128-gcm@openssh.com")
	dir := b.TempDir()
	from := write(b, filepath.Join(dir, "from"), []byte(strings.Repeat("0123456789abcdef", size/16)))
	to := filepath.Join(dir, "to")
	key := write(b, filepath.Join(dir, "key"), sftpServer.info.Key)
	scp := func(args ...string) {
		args = append([]string{"-q", "-i", key, "-P", fmt.Sprint(sftpServer.info.ProtocolPort), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"}, args...)
		if out, err := exec.Command(program(b, "scp", "openssh-client"), args...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	for _, upload := range []bool{true, false} {
		way := map[bool]string{true: "upload", false: "download"}[upload]
		for name, s := range map[string]*server{"sftp": sftpServer, "tar": tarServer} {
			b.Run(way+"/"+name, func(b *testing.B) {
				c, err := connector.Dial(b.Context(), s.info, connector.DialOptions{})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				do, opts := connector.Download, connector.CopyOptions{Local: to, Remote: from}
				if upload {
					do, opts = connector.Upload, connector.CopyOptions{Local: from, Remote: to}
				}
				b.SetBytes(size)
				for b.Loop() {
					if err := do(b.Context(), c, opts); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(way+"/scp", func(b *testing.B) {
			remote := sftpServer.info.Username + "@127.0.0.1:"
			b.SetBytes(size)
			for b.Loop() {
				if upload {
					scp(from, remote+to)
				} else {
					scp(remote+from, to)
				}
			}
		})
		if info, err := os.Stat(to); err != nil || info.Size() != size {
			b.Fatalf("the copy is not whole: %v", err)
		}
	}
}
