package gcetest

import (
	"encoding/base64"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
)

// listRequest is what all requests for lists have.
type listRequest interface {
	proto.Message
	GetFilter() string
	GetMaxResults() uint32
	GetOrderBy() string
	GetPageToken() string
}

// tokenMark begins each token. A client must not make tokens.
const tokenMark = "after "

// page returns a page of a list: what fits the filter, from the token on.
func page[T proto.Message](c *call, all []T, in listRequest) (list []T, next *string, err error) {
	if by := in.GetOrderBy(); by != "" && by != "name" && by != "creationTimestamp desc" {
		return nil, nil, invalid("Invalid value for field 'orderBy': '%s'. Only name and creationTimestamp desc are supported.", by)
	}
	fits, fault := parseFilter(in.GetFilter())
	if fault != nil {
		return nil, nil, fault
	}
	for _, one := range all {
		if fits(one.ProtoReflect()) {
			list = append(list, one)
		}
	}
	if _, all := in.(pageless); all {
		return list, nil, nil
	}
	n := 500
	if most := in.GetMaxResults(); most > 500 {
		return nil, nil, invalid("Invalid value for field 'maxResults': '%d'. Values must be within the range: [0, 500]", most)
	} else if most > 0 {
		n = int(most)
	}
	if limit := c.cfg.PageSize; limit > 0 {
		n = min(n, limit)
	}
	from, fault := fromToken(in.GetPageToken())
	if fault != nil {
		return nil, nil, fault
	}
	list = list[min(from, len(list)):]
	if len(list) > n {
		list = list[:n]
		next = proto.String(base64.URLEncoding.EncodeToString([]byte(tokenMark + strconv.Itoa(from+n))))
	}
	return list, next, nil
}

func fromToken(token string) (int, *apiError) {
	if token == "" {
		return 0, nil
	}
	text, err := base64.URLEncoding.DecodeString(token)
	if err == nil {
		var n int
		if n, err = strconv.Atoi(strings.TrimPrefix(string(text), tokenMark)); err == nil {
			return n, nil
		}
	}
	return 0, invalid("Invalid value for field 'pageToken': '%s'. Invalid pageToken", token)
}
