package api

import (
	"fmt"

	"github.com/herald-push/herald/push"
)

const (
	maxTags    = 64
	maxAddress = 4096 // bytes of a token; FCM promises no length
)

// deviceRequest is the body of PUT /v1/devices/{device}.
type deviceRequest struct {
	User       string           `json:"user"`
	Platform   string           `json:"platform"`
	Maker      string           `json:"maker"`
	Model      string           `json:"model"`
	OS         string           `json:"os"`
	AppVersion string           `json:"app_version"`
	Country    string           `json:"country"`
	Carrier    string           `json:"carrier"`
	Locale     string           `json:"locale"`
	Timezone   string           `json:"timezone"`
	Tags       []string         `json:"tags"`
	Location   *locationRequest `json:"location"`
	Addresses  []addressRequest `json:"addresses"`
}

type locationRequest struct {
	Lat *float64 `json:"lat"`
	Lon *float64 `json:"lon"`
}

type addressRequest struct {
	Provider    string `json:"provider"`
	Token       string `json:"token"`
	Topic       string `json:"topic"`
	Environment string `json:"environment"`
}

var deviceForm = newForm[deviceRequest]()

// device is the only way from JSON to a [push.Device], with all its checks.
func (r *deviceRequest) device(app, id string, fs faults, providers map[string]CheckCredentials) (*push.Device, error) {
	d := &push.Device{
		App: app, ID: id, User: r.User, Platform: r.Platform, Maker: r.Maker, Model: r.Model, OS: r.OS,
		AppVersion: r.AppVersion, Country: r.Country, Carrier: r.Carrier, Locale: r.Locale, Timezone: r.Timezone,
	}
	if !validDeviceID(id) {
		fs.add("device", needDeviceID)
	}
	r.checkWords(&fs)
	d.Tags = r.checkTags(&fs)
	d.Location = r.Location.check(&fs)
	for i := range r.Addresses {
		d.Addresses = append(d.Addresses, r.address(&fs, i, id, providers))
	}
	return d, fs.err()
}

func (r *deviceRequest) checkWords(fs *faults) {
	switch r.Platform {
	case "ios", "android", "harmony", "web", "desktop":
	case "":
		fs.add("platform", "is missing: one of ios, android, harmony, web, desktop")
	default:
		fs.addf("platform", "%q is none of ios, android, harmony, web, desktop", shorten(r.Platform))
	}
	for _, word := range [...]struct{ field, value string }{
		{"user", r.User},
		{"maker", r.Maker},
		{"model", r.Model},
		{"os", r.OS},
		{"app_version", r.AppVersion},
		{"carrier", r.Carrier},
	} {
		if !printable(word.value, maxText) {
			fs.addf(word.field, "must be at most %d bytes without control characters", maxText)
		}
	}
	if c := r.Country; c != "" && (len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z') {
		fs.add("country", "must be two upper-case letters of ISO 3166, such as CN")
	}
	if r.Locale != "" && !spelled(r.Locale, 35, "") {
		fs.add("locale", "must be a language tag of BCP 47, such as en-GB")
	}
	checkTimezone(fs, "timezone", r.Timezone)
}

func (r *deviceRequest) checkTags(fs *faults) []string {
	if len(r.Tags) == 0 {
		return nil
	}
	if len(r.Tags) > maxTags {
		fs.addf("tags", "must have at most %d entries, not %d", maxTags, len(r.Tags))
		return nil
	}
	return each(fs, "tags", r.Tags, validTag, needTag)
}

func (l *locationRequest) check(fs *faults) *push.Location {
	if l == nil {
		return nil
	}
	degrees := func(field string, v *float64, most float64) float64 {
		if v == nil {
			fs.add(field, "is missing")
			return 0
		}
		if *v < -most || *v > most {
			fs.addf(field, "must be %v to %v degrees", -most, most)
		}
		return *v
	}
	return &push.Location{Lat: degrees("location.lat", l.Lat, 90), Lon: degrees("location.lon", l.Lon, 180)}
}

// address checks the i-th address. A live address is the device itself, so its
// token may be left out.
func (r *deviceRequest) address(fs *faults, i int, device string, providers map[string]CheckCredentials) push.Address {
	a := push.Address(r.Addresses[i])
	field := fmt.Sprintf("addresses[%d]", i)
	if _, known := providers[a.Provider]; !known {
		fs.addf(field+".provider", "%q is no provider here", shorten(a.Provider))
	}
	for _, before := range r.Addresses[:i] {
		if before.Provider == a.Provider {
			fs.addf(field+".provider", "%q is named twice: a device has one address at a provider", shorten(a.Provider))
		}
	}
	if a.Provider == push.Live && a.Token == "" {
		a.Token = device
	}
	switch {
	case a.Provider == push.Live && a.Token != device:
		fs.add(field+".token", "must be the device's own id, or left out")
	case a.Token == "":
		fs.add(field+".token", "is missing")
	case !printable(a.Token, maxAddress):
		fs.addf(field+".token", "must be at most %d bytes without control characters", maxAddress)
	case push.IsSMS(a.Provider) && !e164.MatchString(a.Token):
		fs.add(field+".token", "must be a phone number in E.164, such as +4915112345678")
	}
	if !printable(a.Topic, maxText) {
		fs.addf(field+".topic", "must be at most %d bytes without control characters", maxText)
	}
	switch a.Environment {
	case "", "production", "sandbox":
	default:
		fs.add(field+".environment", "must be production or sandbox")
	}
	return a
}
