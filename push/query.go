package push

import "time"

// SavedQuery is a question in SQL that an app's analysts keep.
type SavedQuery struct {
	App       string    `json:"app"`
	Name      string    `json:"name"`
	Text      string    `json:"text"`
	Author    string    `json:"author"` // who wrote it last
	UpdatedAt time.Time `json:"updated_at"`
}
