package scaler

// snapshotForm is the version of what a Snapshot contains. It grows by one with the first field that a release adds.
const snapshotForm = 1

// Reduce removes from s what snapshots of an older form do not contain, so that the rest can be compared with such a snapshot. A journal of
// an older release is compared this way.
func (s *Snapshot) Reduce(form int) {
	if form < 1 {
		s.Register.Meta.Latest = ""
		s.Lists.Away, s.Above = false, 0
		s.ForeignIDs, s.Unknown, s.Debts = nil, UnknownsSnapshot{}, nil
		s.Names = NamesSnapshot{}
		for i := range s.Creates {
			s.Creates[i].Reused = false
		}
		for i := range s.Register.Instances {
			s.Register.Instances[i].Unreachable = false
			for n := range s.Register.Instances[i].Leases {
				s.Register.Instances[i].Leases[n].Use = 0
			}
		}
	}
	s.Form = min(s.Form, form)
}
