package providers

import (
	"encoding/json"
	"maps"

	"github.com/herald-push/herald/push"
)

// Keys of the data that Herald adds to the caller's, the same on every road.
const (
	IDKey           = "herald_id"           // the delivery, or what its chunk shares
	NotificationKey = "herald_notification" // the notification
)

// AppData is the data that an app gets: the caller's and Herald's, under an id
// that is the delivery's or its chunk's.
func AppData(d *push.Delivery, id string) map[string]string {
	data := make(map[string]string, len(d.Data)+2)
	maps.Copy(data, d.Data)
	data[IDKey], data[NotificationKey] = id, d.Notification.ID
	return data
}

// AppDataText is [AppData] as a JSON object.
func AppDataText(d *push.Delivery, id string) string {
	text, err := json.Marshal(AppData(d, id))
	if err != nil {
		return "{}" // strings always encode
	}
	return string(text)
}
