package ec2

import "time"

// spotRequest is the spot request of an instance.
type spotRequest struct {
	id      string
	state   string // "active" or "closed"
	code    string // status code
	message string
	updated time.Duration
}

// end closes the request when its instance is terminated, for the reason that EC2 says.
func (r *spotRequest) end(at time.Duration, reason string) {
	r.state, r.updated = "closed", at
	r.code, r.message = "instance-terminated-by-user", "Spot Instance terminated by user-initiated termination."
	if reason == "Server.SpotInstanceTermination" {
		r.code, r.message = "instance-terminated-no-capacity", "Your Spot Instance was terminated because there is no Spot capacity available that matches your request."
	}
}

type (
	describeSpotInstanceRequestsInput struct {
		Filters    items[filter] `q:"Filter"`
		RequestIDs items[string] `q:"SpotInstanceRequestId"`
		NextToken  string
		MaxResults *int
	}
	describeSpotInstanceRequestsOutput struct {
		Requests  items[spotXML] `xml:"spotInstanceRequestSet"`
		NextToken string         `xml:"nextToken,omitempty"`
	}
	spotXML struct {
		ID           string        `xml:"spotInstanceRequestId"`
		Type         string        `xml:"type"`
		State        string        `xml:"state"`
		Status       spotStatusXML `xml:"status"`
		InstanceID   string        `xml:"instanceId,omitempty"`
		CreateTime   string        `xml:"createTime"`
		Product      string        `xml:"productDescription"`
		Zone         string        `xml:"launchedAvailabilityZone"`
		Interruption string        `xml:"instanceInterruptionBehavior"`
		Price        string        `xml:"spotPrice"`
		Tags         items[tag]    `xml:"tagSet"`
	}
	spotStatusXML struct {
		Code       string `xml:"code"`
		Message    string `xml:"message"`
		UpdateTime string `xml:"updateTime"`
	}
)

func describeSpotInstanceRequests(c *call, in *describeSpotInstanceRequestsInput) (*describeSpotInstanceRequestsOutput, error) {
	byID := map[string]*instance{}
	for _, i := range c.instances {
		if i.spot != nil {
			byID[i.spot.id] = i
		}
	}
	for _, id := range in.RequestIDs.List {
		if byID[id] == nil {
			return nil, refuse("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist", id)
		}
	}
	for id, i := range byID {
		fits, err := matches(in.Filters.List, i.spotAttributes)
		if err != nil {
			return nil, err
		}
		if !fits {
			delete(byID, id)
		}
	}
	list, next, err := page(byID, in.RequestIDs.List, in.NextToken, in.MaxResults, c.limits(1000, 5, 1000))
	if err != nil {
		return nil, err
	}
	out := &describeSpotInstanceRequestsOutput{NextToken: next}
	for _, i := range list {
		out.Requests.List = append(out.Requests.List, i.spotAnswer())
	}
	return out, nil
}

func (in *instance) spotAttributes(name string) ([]string, bool) {
	switch name {
	case "state":
		return []string{in.spot.state}, true
	case "status-code":
		return []string{in.spot.code}, true
	case "instance-id":
		return []string{in.id}, true
	case "spot-instance-request-id":
		return []string{in.spot.id}, true
	case "launched-availability-zone":
		return []string{in.subnet.zone}, true
	}
	return nil, false
}

func (in *instance) spotAnswer() spotXML {
	s, r := in.group.server, in.spot
	return spotXML{
		ID: r.id, Type: "one-time", State: r.state, InstanceID: in.id, CreateTime: stamp(s.at(in.launched)), Product: "Linux/UNIX",
		Status: spotStatusXML{r.code, r.message, stamp(s.at(r.updated))}, Zone: in.subnet.zone, Interruption: "terminate", Price: "0.100000",
	}
}
