package gateway

import (
	"context"
	"encoding/base64"
	"strconv"

	"github.com/herald-push/herald/push"
)

// pages turns the one way in which clients turn pages into a business's own.
type pages struct {
	style, of  string
	limit, max int
	next       *program
}

// pageAt is the page that is wanted.
type pageAt struct {
	on            bool
	number, limit int // from 1
	cursor        string
}

func (p *pages) at(want PageRequest) (pageAt, error) {
	if p == nil {
		return pageAt{}, nil
	}
	at := pageAt{on: true, number: 1, limit: p.limit}
	if want.Limit != 0 {
		at.limit = want.Limit
	}
	if at.limit < 1 || at.limit > p.max {
		return at, pageFault("page.limit", "must be 1 to "+strconv.Itoa(p.max))
	}
	if want.Cursor == "" {
		return at, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(want.Cursor)
	if err != nil {
		return at, pageFault("page.cursor", "is none that was given out")
	}
	if p.style == "cursor" {
		at.cursor = string(raw)
		return at, nil
	}
	if at.number, err = strconv.Atoi(string(raw)); err != nil || at.number < 1 || at.number > 1_000_000 {
		return at, pageFault("page.cursor", "is none that was given out")
	}
	return at, nil
}

func pageFault(field, detail string) error {
	e := fail(CodeInvalidInput, "there is no such page", nil)
	e.Faults = []push.Fault{{Field: field, Detail: detail}}
	return e
}

func (a pageAt) variable() any {
	if !a.on {
		return nil
	}
	var cursor any
	if a.cursor != "" {
		cursor = a.cursor
	}
	return map[string]any{"number": a.number, "offset": (a.number - 1) * a.limit, "limit": a.limit, "cursor": cursor}
}

// following is the cursor of the next page, "" if this is the last.
func (p *pages) following(ctx context.Context, body any, at pageAt, sc scope) (string, error) {
	if p == nil || body == nil {
		return "", nil
	}
	v, err := p.next.run(ctx, body, sc)
	if err != nil {
		return "", err
	}
	if p.style != "cursor" {
		if v == true {
			return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(at.number + 1))), nil
		}
		return "", nil
	}
	text, _ := scalar(v)
	if v == nil || text == "" {
		return "", nil
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text)), nil
}
