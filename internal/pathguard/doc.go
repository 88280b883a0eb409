// Package pathguard finds out who can replace a file: it walks the path, as the kernel does, and names the first folder, link or file that a
// user other than root and the user of this process may change.
//
// On systems without Unix owners and modes every path is accepted. Access control lists that grant a right to write show as the group's right
// in the mode, so they are found; other security systems are not asked.
package pathguard

import "fmt"

// Fault is a part of a path that others may change.
type Fault struct {
	Path   string // the folder, the link or the file
	Owner  string // its owner: the name and the number
	Group  string // its group, the same
	Mode   string // its mode in octal
	Why    string // what is wrong with it
	Remedy string // the command that mends it

	Everyone bool // every user may write to it
	Foreign  bool // another user than root and the user of this process owns it
}

// Error names the part, its owner and its mode, and the command that mends it.
func (f *Fault) Error() string {
	return fmt.Sprintf("%s has the owner %s, the group %s and the mode %s: %s: %s", f.Path, f.Owner, f.Group, f.Mode, f.Why, f.Remedy)
}
