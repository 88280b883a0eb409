package plugin

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"
)

// fileKind says what the beginning of a file shows, for a message about a file that is no plugin.
type fileKind struct {
	what     string // such as "a text file"; completes "it is"
	platform string // os/arch for which it was built; empty: not known
	loader   string // the program that the kernel starts it with; empty: none
	windows  bool   // a script whose first line ends with a carriage return, which the kernel takes for a part of the interpreter's name
}

const (
	emptyFile = "an empty file"
	plainText = "a text file, and no script, which begins with #!"
)

// kindOf looks into a file. It believes nothing that it reads, and returns an empty kind if it cannot tell.
func kindOf(path string) fileKind {
	f, err := openRegular(path)
	if err != nil {
		return fileKind{}
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if head = head[:n]; err != nil && n == 0 {
		return fileKind{what: emptyFile}
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		interpreter, _, _ := strings.Cut(strings.TrimSpace(string(line[2:])), " ")
		return fileKind{what: "a script", loader: interpreter, windows: bytes.HasSuffix(line, []byte("\r"))}
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return elfKind(f)
	case bytes.HasPrefix(head, []byte("MZ")):
		return peKind(f)
	case isMacho(head):
		return machoKind(f)
	case isText(head):
		return fileKind{what: plainText}
	}
	return fileKind{what: "no program of a known form"}
}

// foreign completes "it is" for a file that the kernel of this machine does not start, as far as the file tells. It is empty for others.
func (k fileKind) foreign() string {
	here := runtime.GOOS + "/" + runtime.GOARCH
	both := map[string]string{"linux/amd64": "linux/386", "linux/arm64": "linux/arm"}[here] // many such kernels start both
	switch {
	case k.what == emptyFile || k.what == plainText:
		return k.what + ": put the plugin into its place"
	case k.platform != "" && k.platform != here && k.platform != both:
		return fmt.Sprintf("built for %s, and this machine is %s: install the build for %s", k.platform, here, here)
	}
	return ""
}

func elfKind(r io.ReaderAt) fileKind {
	k := fileKind{what: "a damaged program (ELF)"}
	f, err := elf.NewFile(r)
	if err != nil {
		return k
	}
	system := map[elf.OSABI]string{elf.ELFOSABI_FREEBSD: "freebsd", elf.ELFOSABI_OPENBSD: "openbsd", elf.ELFOSABI_NETBSD: "netbsd", elf.ELFOSABI_SOLARIS: "solaris"}[f.OSABI]
	arch := map[elf.Machine]string{
		elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x",
		elf.EM_LOONGARCH: "loong64", elf.EM_MIPS: "mips",
	}[f.Machine]
	if system == "" {
		system = "linux"
	}
	if arch == "" {
		arch = strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_"))
	}
	k = fileKind{what: "a program", platform: system + "/" + arch}
	if s := f.Section(".interp"); s != nil && s.Size < 4096 {
		if b, err := s.Data(); err == nil {
			k.loader = strings.TrimRight(string(b), "\x00")
		}
	}
	return k
}

func peKind(r io.ReaderAt) fileKind {
	f, err := pe.NewFile(r)
	if err != nil {
		return fileKind{what: "a damaged program (PE)"}
	}
	arch := map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64", pe.IMAGE_FILE_MACHINE_I386: "386"}[f.Machine]
	if arch == "" {
		arch = fmt.Sprintf("machine %#x", f.Machine)
	}
	return fileKind{what: "a program", platform: "windows/" + arch}
}

func isMacho(head []byte) bool {
	for _, magic := range []string{"\xfe\xed\xfa\xce", "\xce\xfa\xed\xfe", "\xfe\xed\xfa\xcf", "\xcf\xfa\xed\xfe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

func machoKind(r io.ReaderAt) fileKind {
	f, err := macho.NewFile(r)
	if err != nil {
		return fileKind{what: "a damaged program (Mach-O)"}
	}
	arch := map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64", macho.Cpu386: "386"}[f.Cpu]
	if arch == "" {
		arch = strings.ToLower(strings.TrimPrefix(f.Cpu.String(), "Cpu"))
	}
	return fileKind{what: "a program", platform: "darwin/" + arch}
}

func isText(head []byte) bool {
	for len(head) > 0 && !utf8.Valid(head) { // a rune may be cut at the end
		if len(head) < 500 || bytes.ContainsRune(head, 0) {
			return false
		}
		head = head[:len(head)-1]
	}
	return !bytes.ContainsRune(head, 0)
}

// unstartable says why the kernel did not start a file, as far as the file tells.
func unstartable(path string, noFormat, missing bool) string {
	k, here := kindOf(path), runtime.GOOS+"/"+runtime.GOARCH
	switch {
	case k.platform != "" && k.platform != here && (noFormat || missing):
		return fmt.Sprintf("it is built for %s, and this machine is %s: install the build for %s", k.platform, here, here)
	case missing && k.windows && exists(k.loader):
		return "it is a script whose lines end as on Windows, with a carriage return, so its interpreter is not found: convert it (sed -i 's/\\r$//')"
	case missing && k.loader != "" && !exists(k.loader) && k.what == "a script":
		return fmt.Sprintf("it is a script for %s, and there is no such interpreter: install the interpreter, or correct the first line", quoteIfOdd(k.loader))
	case missing && k.loader != "" && !exists(k.loader):
		return fmt.Sprintf("it needs the loader %s, which this machine does not have: install a build for this distribution, or a static one (CGO_ENABLED=0)", quoteIfOdd(k.loader))
	case noFormat && k.what != "":
		return "it is " + k.what
	}
	return ""
}

// quoteIfOdd shows the name of a file from a file.
func quoteIfOdd(text string) string {
	if len(text) > 200 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Sprintf("%.200q", text)
	}
	return text
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// builtWith returns the path and the version of a Go module that a program was built with; empty if it was not, or cannot be read.
func builtWith(path string, module func(path string) bool) (found, version string) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", ""
	}
	for _, m := range info.Deps {
		if module(m.Path) {
			return m.Path, m.Version
		}
	}
	if module(info.Main.Path) {
		return info.Main.Path, info.Main.Version
	}
	return "", ""
}

// isFleeting reports whether a module is GitLab's library for plugins.
func isFleeting(module string) bool {
	return strings.HasPrefix(module, "gitlab.com/gitlab-org/fleeting/")
}

// absent says that there is no file at path: also a symbolic link whose target is gone.
func absent(path string) string {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if target, err := os.Readlink(path); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(path), target)
			}
			return fmt.Sprintf("%s is a symbolic link to %s, which does not exist", path, target)
		}
	}
	return fmt.Sprintf("there is no file %s", path)
}
