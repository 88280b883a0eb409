package connector_test

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	winrmUser     = `CORP\ci`
	winrmPassword = "pässwörd-of-ci"
	// python is Debian's, because the packages that the server needs are Debian's.
	python = "/usr/bin/python3"
)

// winrmServer is the server of testdata/winrm, which speaks WinRM, has an NTLM of its own, and runs commands with sh.
type winrmServer struct {
	info  provider.ConnectInfo
	cmd   *exec.Cmd
	cert  *x509.Certificate
	shell powershell
}

// pythonHas skips the test if a module of Python is missing.
func pythonHas(t testing.TB, modules, pkgs string) {
	t.Helper()
	if err := exec.Command(python, "-c", "import "+modules).Run(); err != nil {
		t.Skipf("python3 has not all of %s; to run this test: apt-get install %s", modules, pkgs)
	}
}

// startWinRM starts the server with these arguments. It accepts winrmUser with NTLM.
func startWinRM(t testing.TB, args ...string) *winrmServer {
	t.Helper()
	pythonHas(t, "gssapi", "python3-gssapi")
	if found, _ := filepath.Glob("/usr/lib/*/gssntlmssp/gssntlmssp.so"); len(found) == 0 {
		t.Skip("gss-ntlmssp is not installed; to run this test: apt-get install gss-ntlmssp")
	}
	dir := t.TempDir()
	users := write(t, filepath.Join(dir, "users"), []byte("CORP:ci:"+winrmPassword+"\n"))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &winrmServer{cmd: exec.Command(python, append([]string{"testdata/winrm/server.py"}, args...)...), shell: newPowerShell(t)}
	s.cmd.Env = append(append(os.Environ(), "NTLM_USER_FILE="+users, "PYTHONUTF8=1"), s.shell.environ()...)
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		_ = log.Close()
		if b, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("log of the WinRM server:\n%s", b)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		b, _ := os.ReadFile(log.Name())
		t.Fatalf("the WinRM server does not start: %v\n%s", err, b)
	}
	port, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	s.info = provider.ConnectInfo{ID: "i-1", InternalAddr: "127.0.0.1"}
	s.info.Protocol, s.info.ProtocolPort = provider.ProtocolWinRM, port
	s.info.Username, s.info.Password, s.info.Timeout = winrmUser, winrmPassword, hang
	return s
}

// startWinRMS starts the server with https, and a certificate of its own for 127.0.0.1.
func startWinRMS(t testing.TB, args ...string) *winrmServer {
	t.Helper()
	cert, file := newCertificate(t, "127.0.0.1")
	sum := sha256.Sum256(cert.Raw)
	s := startWinRM(t, append([]string{"--cert", file, "--binding", hex.EncodeToString(sum[:])}, args...)...)
	s.cert, s.info.Protocol = cert, provider.ProtocolWinRMHTTPS
	return s
}

// pem returns the certificate of the server, as a CA file has it.
func (s *winrmServer) pem() []byte { return pemOf(s.cert) }

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// pin returns the certificate as an entry of HostKeys.
func (s *winrmServer) pin() string {
	sum := sha256.Sum256(s.cert.Raw)
	return "x509-sha256 " + hex.EncodeToString(sum[:])
}

// newCertificate returns a self-signed certificate for an address, and a file with it and its key.
func newCertificate(t testing.TB, address string) (*x509.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "winrm"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), crypto.Signer(key))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pemOf(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return cert, write(t, filepath.Join(t.TempDir(), "cert.pem"), both)
}

func readAll(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
