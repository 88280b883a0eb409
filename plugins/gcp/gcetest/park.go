package gcetest

import "github.com/taskscaler/taskscaler/internal/cloudtest/machine"

// OnPark returns the machines of a park, for Config.Machines: real SSH servers on the internal addresses of the instances, and the park's port. The caller closes
// the park, after the server.
func OnPark(p *machine.Park) Machines { return parked{p} }

type parked struct{ park *machine.Park }

func (p parked) Boot(id string, spec MachineSpec) (Machine, error) {
	m, err := p.park.Boot(id, machine.Spec{IP: spec.IP, User: spec.User})
	if err != nil {
		return nil, err // no Machine that holds a nil pointer
	}
	return m, nil
}
