package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// sniffJSON detects the format from the members of the first object. The text may end anywhere.
func sniffJSON(text []byte) string {
	dec := json.NewDecoder(bytes.NewReader(text))
	depth, key, members := 0, true, map[string]bool{}
	for range 1 << 14 {
		token, err := dec.Token()
		if err != nil {
			break
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' {
				depth++
				key = true
				continue
			}
			if v == '}' {
				if depth--; depth == 0 {
					return formatOf(members)
				}
			}
			key = true
		case string:
			if depth == 1 && key {
				members[v] = true
				if v == "jobs" {
					return GitHub
				}
			}
			key = !key
		default:
			key = true
		}
	}
	return formatOf(members)
}

func formatOf(members map[string]bool) string {
	switch {
	case members["total_count"], members["run_attempt"], members["completed_at"] && members["run_id"]:
		return GitHub
	case members["queued_duration"] && members["started_at"], members["tag_list"] && members["pipeline"]:
		return GitLab
	}
	return JSONLines
}

// elements calls each for every object in a sequence of JSON values: objects, arrays of objects, and GitHub's pages ({"jobs": […]}).
func elements(in *input, c *collector, each func(at int, raw []byte)) error {
	dec := json.NewDecoder(in)
	number := 0
	var one func(raw json.RawMessage) error
	one = func(raw json.RawMessage) error {
		var page struct {
			Jobs *[]json.RawMessage `json:"jobs"`
		}
		switch raw[0] {
		case '[':
			var list []json.RawMessage
			if err := json.Unmarshal(raw, &list); err != nil {
				return err
			}
			for _, e := range list {
				if err := one(e); err != nil {
					return err
				}
			}
		case '{':
			if bytes.Contains(raw, []byte(`"jobs"`)) && json.Unmarshal(raw, &page) == nil && page.Jobs != nil {
				for _, e := range *page.Jobs {
					if err := one(e); err != nil {
						return err
					}
				}
				return nil
			}
			number++
			each(number, raw)
		default:
			number++
			c.drop(number, "it is not a JSON object")
		}
		return nil
	}
	for {
		if err := topLevel(dec, one); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return jsonError(in, dec.InputOffset(), err)
		}
	}
}

// topLevel reads one value; of an array it reads one element after the other. Its error is io.EOF after the last value.
func topLevel(dec *json.Decoder, one func(json.RawMessage) error) error {
	if !dec.More() { // the end, or a closing bracket that was never opened
		_, err := dec.Token()
		return err
	}
	head := make([]byte, 1)
	if _, err := dec.Buffered().Read(head); err != nil || head[0] != '[' {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return unexpected(err)
		}
		return one(raw)
	}
	if _, err := dec.Token(); err != nil {
		return unexpected(err)
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return unexpected(err)
		}
		if err := one(raw); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return unexpected(err)
}

// unexpected turns an end of file into an unexpected end of file.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func jsonError(in *input, offset int64, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		if strings.Contains(syntax.Error(), "unexpected end") {
			return in.broken(0, offset, io.ErrUnexpectedEOF)
		}
		return in.fail(0, max(syntax.Offset, 1), err, "the file is not JSON", "copy the API's responses unchanged, one after the other")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return in.broken(0, offset, err)
	}
	return in.fail(0, offset, err, "the file cannot be read", "")
}

// jsonText is a JSON value as a CSV file would hold it.
func jsonText(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s) // it cannot fail: the document was parsed before
		return strings.TrimSpace(s)
	case '[':
		var list []any
		_ = json.Unmarshal(raw, &list)
		parts := make([]string, len(list))
		for i, v := range list {
			parts[i] = fmt.Sprint(v)
		}
		return strings.Join(parts, ",")
	case '{':
		return ""
	}
	return string(raw)
}
