//go:build unix

package pathguard

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links one path may contain. Linux has the same limit.
const maxLinks = 40

// Check returns a *Fault if a user other than root and the user of this process can replace what is at path, or change it: if one of the
// folders on the way, a symbolic link, a folder on the way to its target, or the file itself
//
//   - belongs to another user, or
//   - can be written by others. A folder with the sticky bit, such as /tmp, may be: nobody can replace there what is not theirs. A group that
//     consists of the user alone may write too (see privateGroup).
//
// path must be absolute. Other errors say that a part cannot be examined.
func Check(path string) error {
	return Walk(path, func(f *Fault) error { return f })
}

// Walk calls report with each part of the path that Check would object to, in the order of the walk. An error of report ends the walk, and Walk
// returns it.
func Walk(path string, report func(*Fault) error) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s is not an absolute path", path)
	}
	w := walk{me: whoAmI(), links: maxLinks, report: report}
	_, err := w.to("/", strings.Split(path, "/"))
	return err
}

type walk struct {
	me     identity
	links  int
	report func(*Fault) error
}

// to checks dir and then each of the parts below it, and returns where they lead to. The parts are not cleaned before: the kernel follows a
// link before it applies "..".
func (w *walk) to(dir string, parts []string) (string, error) {
	if dir == "/" {
		if err := w.check("/"); err != nil {
			return "", err
		}
	}
	for _, part := range parts {
		switch part {
		case "", ".":
			continue
		case "..":
			dir = filepath.Dir(dir)
			continue
		}
		next, err := w.step(dir, filepath.Join(dir, part))
		if err != nil {
			return "", err
		}
		dir = next
	}
	return dir, nil
}

// step checks path, which is in dir, and follows it if it is a link.
func (w *walk) step(dir, path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return path, w.judge(path, info)
	}
	if err := w.judge(path, info); err != nil {
		return "", err
	}
	if w.links--; w.links < 0 {
		return "", fmt.Errorf("%s: %w", path, syscall.ELOOP)
	}
	target, err := os.Readlink(path)
	if err != nil {
		return "", err
	}
	if filepath.IsAbs(target) {
		dir = "/"
	}
	return w.to(dir, strings.Split(target, "/"))
}

func (w *walk) check(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	return w.judge(path, info)
}

// judge reports a *Fault if others may change what info describes, and returns what report says to it.
func (w *walk) judge(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	what := "file"
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		what = "symbolic link"
	case info.IsDir():
		what = "folder"
	}
	fault := &Fault{
		Path: path, Owner: named(userName, st.Uid), Group: named(groupName, st.Gid), Mode: fmt.Sprintf("%#o", st.Mode&0o7777),
	}
	if int(st.Uid) != 0 && int(st.Uid) != w.me.uid {
		fault.Why = fmt.Sprintf("another user than root and %s owns this %s", named(userName, uint32(w.me.uid)), what)
		fault.Remedy = fmt.Sprintf("chown %d %s", w.me.uid, quote(path))
		if what == "symbolic link" {
			fault.Remedy = fmt.Sprintf("chown -h %d %s", w.me.uid, quote(path))
		}
		fault.Foreign = true
		return w.report(fault)
	}
	if what == "symbolic link" || info.IsDir() && info.Mode()&fs.ModeSticky != 0 {
		return nil // the mode of a link means nothing
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		fault.Why, fault.Remedy = fmt.Sprintf("every user may write to this %s", what), "chmod go-w "+quote(path)
		fault.Everyone = true
	case mode&0o020 != 0 && !w.me.privateGroup(int(st.Gid)):
		fault.Why, fault.Remedy = fmt.Sprintf("the group may write to this %s", what), "chmod g-w "+quote(path)
	default:
		return nil
	}
	return w.report(fault)
}

// identity is the user of this process.
type identity struct{ uid, gid int }

func whoAmI() identity { return identity{os.Geteuid(), os.Getegid()} }

// privateGroup reports whether the group consists of this user alone. Systems that create a group for each user also set the umask 002, so
// whatever this user builds can be written by the group. The group must be the primary one and must bear the name of the user; if neither
// name is known, the same number. The list of its members is not read: it may be in a directory service.
func (me identity) privateGroup(gid int) bool {
	if gid != me.gid {
		return false
	}
	user, group := userName(uint32(me.uid)), groupName(uint32(gid))
	if user == "" && group == "" {
		return gid == me.uid
	}
	return user == group
}

func userName(id uint32) string {
	if u, err := user.LookupId(strconv.Itoa(int(id))); err == nil {
		return u.Username
	}
	return ""
}

func groupName(id uint32) string {
	if g, err := user.LookupGroupId(strconv.Itoa(int(id))); err == nil {
		return g.Name
	}
	return ""
}

func named(name func(uint32) string, id uint32) string {
	if n := name(id); n != "" {
		return fmt.Sprintf("%s (%d)", n, id)
	}
	return strconv.Itoa(int(id))
}

// quote returns path as one word of a shell.
func quote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@,", r)
	}
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
