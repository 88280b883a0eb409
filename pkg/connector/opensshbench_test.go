package connector_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

const benchCipher = "aes128-gcm@openssh.com"

// effort is how much a benchmark does.
type effort struct {
	rounds int           // of which the median counts
	least  int           // connections or commands of a round
	most   int           // the same
	lasts  time.Duration // when a round ends that has the least and not the most
	size   int64         // of a transfer, in bytes
	each   int           // sessions on each instance
}

// effortOf is a try with -benchtime 1x, which only shows that the benchmarks work.
func effortOf() effort {
	if f := flag.Lookup("test.benchtime"); f != nil && f.Value.String() == "1x" {
		return effort{rounds: 1, least: 2, most: 2, size: 16 << 20, each: 2}
	}
	return effort{rounds: 5, least: 3, most: 100, lasts: 3 * time.Second, size: 1 << 30, each: 20}
}

// enough reports whether a round that began then has done enough after n times.
func (e effort) enough(began time.Time, n int) bool {
	return n >= e.most || n >= e.least && time.Since(began) > e.lasts
}

// BenchmarkBesideOpenSSH does the same with this package and with OpenSSH's ssh, in turns in the same run, with the same server and cipher. It
// reports both; the one number to look at is their quotient. `make bench-ssh` prints it.
func BenchmarkBesideOpenSSH(b *testing.B) {
	r := newRival(b)
	b.Run("cold", r.cold)
	b.Run("warm", r.warm)
	b.Run("transfer", r.transfer)
	b.Run("sessions", manySessions)
}

// rival is a server, and OpenSSH's client for it.
type rival struct {
	*server
	effort
	client, key string
}

func newRival(b *testing.B, options ...string) *rival {
	client := program(b, "ssh", "openssh-client")
	s := startSSHD(b, append(options, "Ciphers "+benchCipher, "MaxSessions 10")...)
	r := &rival{server: s, effort: effortOf(), client: client, key: write(b, filepath.Join(s.dir, "key"), s.info.Key)}
	if err := runOnce(b.Context(), s.info, connector.DialOptions{}, connector.RunOptions{Command: "true"}); err != nil { // it is ready
		b.Fatal(err)
	}
	return r
}

// ssh returns a command of OpenSSH's client. It reads no configuration, and knows the host's key.
func (r *rival) ssh(ctx context.Context, host string, args ...string) *exec.Cmd {
	known := filepath.Join(r.dir, "known_hosts")
	if _, err := os.Stat(known); err != nil {
		_ = os.WriteFile(known, []byte("* "+r.info.HostKeys[0]+"\n"), 0o600)
	}
	all := append([]string{"-F", "/dev/null", "-i", r.key, "-p", strconv.Itoa(r.info.ProtocolPort), "-c", benchCipher, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + known, r.info.Username + "@" + host}, args...)
	return exec.CommandContext(ctx, r.client, all...)
}

// master starts a master connection of OpenSSH. It returns the option that uses it, and the function that ends it.
func (r *rival) master(ctx context.Context, host, name string) (option string, end func(), err error) {
	socket := filepath.Join(r.dir, name)
	cmd := r.ssh(ctx, host, "-M", "-N", "-o", "ControlPath="+socket)
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() } // TERM: it removes its socket
	looks := time.NewTicker(5 * time.Millisecond)
	defer looks.Stop()
	for {
		if _, err := os.Stat(socket); err == nil { // it is made after the login
			return "ControlPath=" + socket, end, nil
		}
		select {
		case <-looks.C:
		case <-ctx.Done():
			end()
			return "", nil, context.Cause(ctx)
		}
	}
}

// cold connects, runs true and closes.
func (r *rival) cold(b *testing.B) {
	for b.Loop() {
		var ours, theirs []float64
		for range r.rounds {
			var own, other time.Duration
			connects := 0.0
			for began := time.Now(); !r.enough(began, int(connects)); connects++ {
				own += took(b, func() error {
					return runOnce(b.Context(), r.info, connector.DialOptions{}, connector.RunOptions{Command: "true"})
				})
				other += took(b, r.ssh(b.Context(), "127.0.0.1", "true").Run)
			}
			ours, theirs = append(ours, connects/own.Seconds()), append(theirs, connects/other.Seconds())
		}
		report(b, "conn/s", ours, theirs)
	}
}

// warm runs true on a connection that is there.
func (r *rival) warm(b *testing.B) {
	c, err := connector.Dial(b.Context(), r.info, connector.DialOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	socket, end, err := r.master(b.Context(), "127.0.0.1", "warm")
	if err != nil {
		b.Fatal(err)
	}
	defer end()
	for b.Loop() {
		var ours, theirs []float64
		for range r.rounds {
			var own, other []float64
			for began := time.Now(); !r.enough(began, len(own)); {
				own = append(own, took(b, func() error { return c.Run(b.Context(), connector.RunOptions{Command: "true"}) }).Seconds()*1000)
				other = append(other, took(b, r.ssh(b.Context(), "127.0.0.1", "-o", socket, "true").Run).Seconds()*1000)
			}
			ours, theirs = append(ours, p95(own)), append(theirs, p95(other))
		}
		report(b, "p95-ms", ours, theirs)
	}
}

// transfer connects and sends 1 GiB to a command that compares it, or reads 1 GiB and checks its sum. Our seconds of CPU include the checksum.
func (r *rival) transfer(b *testing.B) {
	file, sum := r.content(b)
	for way, command := range map[string]string{"up": "cmp - " + file, "down": "cat " + file} {
		b.Run(way, func(b *testing.B) {
			once := func(use func(in io.Reader, out io.Writer) error) float64 {
				var in io.Reader
				got := crc32.New(crc32.MakeTable(crc32.Castagnoli))
				if way == "up" {
					f, err := os.Open(file)
					if err != nil {
						b.Fatal(err)
					}
					defer func() { _ = f.Close() }()
					in = f
				}
				d := took(b, func() error { return use(in, got) })
				if way == "down" && got.Sum32() != sum {
					b.Fatal("what came is not what the file holds")
				}
				return float64(r.size) / d.Seconds() / 1e6
			}
			for b.Loop() {
				var ours, theirs, ownCPU, otherCPU []float64
				for range r.rounds {
					before := cpu(b)
					ours = append(ours, once(func(in io.Reader, out io.Writer) error {
						return runOnce(b.Context(), r.info, connector.DialOptions{}, connector.RunOptions{Command: command, Stdin: in, Stdout: out})
					}))
					ownCPU = append(ownCPU, cpu(b)-before)
					cmd := r.ssh(b.Context(), "127.0.0.1", command)
					theirs = append(theirs, once(func(in io.Reader, out io.Writer) error {
						cmd.Stdin, cmd.Stdout = in, out
						return cmd.Run()
					}))
					otherCPU = append(otherCPU, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
				}
				report(b, "MB/s", ours, theirs)
				report(b, "cpu-s", ownCPU, otherCPU)
			}
		})
	}
}

const (
	instances = 50
	addresses = 10 // of one sshd: it takes 16 at most
)

// manySessions runs 1,000 commands at the same time on 50 instances, 20 on each, with MaxSessions 10. The instances are 10 addresses of each of 5 sshd. An
// sshd has processes of its own for each connection, so this is the same work as with 50.
func manySessions(b *testing.B) {
	e := effortOf()
	var servers []*rival
	for range instances / addresses {
		var options []string
		for n := 2; n <= addresses; n++ {
			options = append(options, fmt.Sprintf("ListenAddress 127.0.0.%d", n))
		}
		servers = append(servers, newRival(b, options...))
	}
	const command = "echo ready; read line; exit 7"
	for b.Loop() {
		var ours, theirs []float64
		for range e.rounds {
			ours = append(ours, together(b, e.each, func(ctx context.Context, i int) (run runFunc, end func()) {
				r, address := servers[i/addresses], fmt.Sprintf("127.0.0.%d", i%addresses+1)
				info := r.info
				info.InternalAddr = address
				c, err := connector.Dial(ctx, info, connector.DialOptions{})
				if err != nil {
					b.Error(err)
					return nil, func() {}
				}
				return func(_ int, in io.Reader, out io.Writer) (int, error) {
					err := c.Run(ctx, connector.RunOptions{Command: command, Stdin: in, Stdout: out})
					var exit *connector.ExitError
					if errors.As(err, &exit) {
						return exit.ExitCode(), nil
					}
					return 0, err
				}, func() { _ = c.Close() }
			}))
			theirs = append(theirs, together(b, e.each, func(ctx context.Context, i int) (run runFunc, end func()) {
				r, address := servers[i/addresses], fmt.Sprintf("127.0.0.%d", i%addresses+1)
				var sockets []string
				var ends []func()
				for n := range (e.each + 9) / 10 { // an ssh has one connection, with MaxSessions
					socket, end, err := r.master(ctx, address, fmt.Sprint(address, "-", n))
					if err != nil {
						b.Error(err)
						break
					}
					sockets, ends = append(sockets, socket), append(ends, end)
				}
				return func(n int, in io.Reader, out io.Writer) (int, error) {
						if len(sockets) == 0 {
							return 0, errors.New("not connected")
						}
						cmd := r.ssh(ctx, address, "-o", sockets[n%len(sockets)], command)
						pipe, err := cmd.StdinPipe()
						if err != nil {
							return 0, err
						}
						cmd.Stdout = out
						if err := cmd.Start(); err != nil {
							return 0, err
						}
						_, _ = io.Copy(pipe, in)
						_ = pipe.Close()
						_ = cmd.Wait()
						return cmd.ProcessState.ExitCode(), nil
					}, func() {
						for _, end := range ends {
							end()
						}
					}
			}))
		}
		report(b, "s", ours, theirs)
	}
}

// runFunc runs command n of an instance and returns its exit code.
type runFunc func(n int, in io.Reader, out io.Writer) (code int, err error)

// together connects to every instance and returns after how many seconds all commands run at the same time. Then it lets them end and checks each.
func together(b *testing.B, each int, connect func(ctx context.Context, i int) (run runFunc, end func())) float64 {
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	var ready, done sync.WaitGroup
	ready.Add(each * instances)
	release := make(chan struct{})
	began := time.Now()
	for i := range instances {
		done.Go(func() {
			run, end := connect(ctx, i)
			defer end()
			var commands sync.WaitGroup
			defer commands.Wait()
			for n := range each {
				var once sync.Once
				counted := func() { once.Do(ready.Done) }
				if run == nil {
					counted()
					continue
				}
				commands.Go(func() {
					defer counted()
					var out bytes.Buffer
					code, err := run(n, &gate{open: release, ctx: ctx}, io.MultiWriter(&out, first(counted)))
					if code != 7 || err != nil || out.String() != "ready\n" {
						b.Errorf("a command ended with %d, %v, %q", code, err, out.String())
					}
				})
			}
		})
	}
	ready.Wait()
	took := time.Since(began).Seconds()
	close(release)
	done.Wait()
	return took
}

// first is a writer that calls a function at each write.
type first func()

func (f first) Write(p []byte) (int, error) { f(); return len(p), nil }

// gate is a reader that gives one line when it is opened.
type gate struct {
	open <-chan struct{}
	ctx  context.Context
	done bool
}

func (g *gate) Read(p []byte) (int, error) {
	select {
	case <-g.open:
	case <-g.ctx.Done():
		return 0, context.Cause(g.ctx)
	}
	if g.done {
		return 0, io.EOF
	}
	g.done = true
	return copy(p, "go\n"), nil
}

// content writes a file that does not compress, in memory if there is a folder for it, and returns its checksum.
func (r *rival) content(b *testing.B) (path string, sum uint32) {
	dir, err := os.MkdirTemp("/dev/shm", "taskscaler-bench-")
	if err != nil {
		dir = b.TempDir()
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	block := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(block)
	f, err := os.Create(filepath.Join(dir, "content"))
	if err != nil {
		b.Fatal(err)
	}
	all := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for n := int64(0); n < r.size; n += int64(len(block)) {
		copy(block, strconv.FormatInt(n, 10))
		if _, err := io.MultiWriter(f, all).Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return f.Name(), all.Sum32()
}

func took(b *testing.B, do func() error) time.Duration {
	began := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// cpu returns the seconds that this process has computed.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func p95(v []float64) float64 { v = slices.Sorted(slices.Values(v)); return v[len(v)*95/100] }

// report reports the medians.
func report(b *testing.B, unit string, ours, theirs []float64) {
	slices.Sort(ours)
	slices.Sort(theirs)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours[len(ours)/2], "ours-"+unit)
	b.ReportMetric(theirs[len(theirs)/2], "ssh-"+unit)
}
