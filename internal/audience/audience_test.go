package audience_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/push"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func phone() *push.Device {
	return &push.Device{
		ID: "phone-1", User: "u-17", Platform: "android", Maker: "Xiaomi", Model: "23127PN0CC", OS: "Android 14.0.1",
		AppVersion: "2.10.0-beta", Country: "CN", Locale: "zh-Hans-CN", Timezone: "Asia/Shanghai", Tags: []string{"beta", `say "hi"`},
		Addresses: []push.Address{{Provider: "fcm", Token: "t"}},
		CreatedAt: now.Add(-30 * 24 * time.Hour), UpdatedAt: now.Add(-2 * 24 * time.Hour),
	}
}

func TestWhomAnExpressionMeans(t *testing.T) {
	tests := map[string]bool{
		`platform = "android"`:              true,
		`platform == 'Android'`:             true,
		`platform != "ios"`:                 true,
		`maker = "xiaomi"`:                  true,
		`maker in ("huawei", "XIAOMI")`:     true,
		`maker not in ("huawei", "xiaomi")`: false,
		`model starts with "23127"`:         true,
		`model starts "23128"`:              false,
		`os starts with "android"`:          true,
		`os_version >= 14`:                  true,
		`os_version > 14`:                   true,
		`os_version = 14.0.1`:               true,
		`os_version < "14.0.1"`:             false,
		`app_version >= 2.9`:                true,
		`app_version < 2.9`:                 false,
		`app_version = 2.10`:                true,
		`app_version != "2.10.0"`:           false,
		`carrier = ""`:                      true,
		`carrier is set`:                    false,
		`carrier is not set`:                true,
		`user is set and user = "u-17"`:     true,
		`user = "U-17"`:                     false,
		`id in ("phone-1")`:                 true,
		`tags has "beta"`:                   true,
		`tags has "Beta"`:                   false,
		`tags has "say \"hi\""`:             true,
		`addresses has "fcm"`:               true,
		`not addresses has "apns"`:          true,
		`seen < 3d`:                         true,
		`seen < 1d`:                         false,
		`seen >= 2d and seen <= 2d`:         true,
		`created > 2w`:                      true,
		`country = "CN" or country = "DE" and maker = "none"`:     true,
		`(country = "CN" or country = "DE") and maker = "none"`:   false,
		`!(country = "DE") && (tags has 'beta' || seen < 1s)`:     true,
		`NOT NOT Country = "cn"`:                                  true,
		`locale starts with "zh" and timezone != "Europe/Berlin"`: true,
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			f, err := audience.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Match(phone(), now); got != want {
				t.Errorf("Match() = %v, want %v", got, want)
			}
		})
	}
}

func TestFaultsSayWhereAndWhat(t *testing.T) {
	tests := map[string]string{
		``:                                       "at its end: expected one of platform",
		`   `:                                    "at its end: expected one of platform",
		`color = "red"`:                          `at character 1, "color": is none of platform, maker`,
		`country "DE"`:                           `at character 9, "\"DE\"": expected =, !=, in`,
		`country = DE`:                           `at character 11, "DE": expected a text in quotes`,
		`country = "DE`:                          `at character 11, "\"DE": the text has no closing quote`,
		`country > "DE"`:                         `at character 9, ">": expected =, !=`,
		`platform = "ipad"`:                      `at character 12, "\"ipad\"": is none of ios, android`,
		`country = "DE" maker = "x"`:             `at character 16, "maker": expected and, or, or the end`,
		`country in "DE"`:                        `at character 12, "\"DE\"": expected ( and a list`,
		`country in ("DE" "AT")`:                 `at character 18, "\"AT\"": expected , or )`,
		`country in ()`:                          `at character 13, ")": expected a text in quotes`,
		`(country = "DE"`:                        `at its end: expected )`,
		`country = "DE")`:                        `at character 15, ")": expected and, or`,
		`app_version ~ 2`:                        `at character 13, "~": is no sign of this language`,
		`app_version >= "new"`:                   `at character 16, "\"new\"": is no version`,
		`seen < 7`:                               `at character 8, "7": expected a time such as`,
		`seen < 7y`:                              `at character 8, "7y": expected a time such as`,
		`seen < 99999999d`:                       `at character 8, "99999999d": expected a time such as`,
		`seen = 7d`:                              `at character 6, "=": expected <, <=, > or >= with a time`,
		`seen is set`:                            `at character 9, "set": expected <, <=`,
		`tags = "beta"`:                          `at character 6, "=": expected has and a text`,
		`tags has beta`:                          `at character 10, "beta": expected a text in quotes`,
		`country = "DE" and`:                     `at its end: expected one of platform`,
		`country = "DE"; DROP TABLE x`:           `at character 15, ";": is no sign`,
		`country not "DE"`:                       `at character 13, "\"DE\"": expected in`,
		`ü = 1`:                                  `at character 1, "ü": is no sign`,
		"country = \"\x00\"":                     `is not text in UTF-8`,
		strings.Repeat("(", 40):                  `more than 32 levels`,
		strings.Repeat("not ", 40) + `seen < 1d`: `more than 32 levels`,
		strings.Repeat(`seen < 1d or `, 100) + `seen < 1d`:            `more than 100 questions`,
		`country in (` + strings.Repeat(`"DE",`, 100) + `"DE")`:       `more than 100 values`,
		`country = "` + strings.Repeat("x", audience.MaxLength) + `"`: `more than 4096 bytes`,
	}
	for text, want := range tests {
		_, err := audience.Parse(text)
		var fault *audience.Error
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.60q) = %v, want %q", text, err, want)
		}
	}
}

func TestVersionsSortByTheirNumbers(t *testing.T) {
	sorted := []string{"", "0", "1", "1.0.1", "1.2", "1.10", "2", "2.0.0.1", "10.0", "2024.1", "99999999999999"}
	for i := range sorted {
		for j := range sorted {
			a, b := audience.VersionKey(sorted[i]), audience.VersionKey(sorted[j])
			if got, want := strings.Compare(a, b), strings.Compare(string(rune('a'+i)), string(rune('a'+j))); got != want {
				t.Errorf("%q and %q compare %d, want %d", sorted[i], sorted[j], got, want)
			}
		}
	}
	for a, b := range map[string]string{"2.0": "2", "iOS 18.1": "18.1", "v1.2-rc3": "1.2", "007.1": "7.1", "1..2": "1.0.2", "Android": "", "1.2.3.4.5.6.7": "1.2.3.4.5.6"} {
		if audience.VersionKey(a) != audience.VersionKey(b) {
			t.Errorf("%q and %q differ: %q, %q", a, b, audience.VersionKey(a), audience.VersionKey(b))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`platform = "ios" and not (tags has "x" or seen < 7d)`, `app_version >= 2.10 || country in ("DE",'AT')`, `((("`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		filter, err := audience.Parse(s)
		if err != nil {
			return
		}
		filter.Match(phone(), now)
		condition, args := filter.SQL(5, now)
		if strings.Count(condition, "$") != len(args) || strings.ContainsAny(condition, "\";\\") {
			t.Errorf("%q became %q", s, condition)
		}
	})
}

func TestNothingOfTheCallersIsInTheCondition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-z'; -]{8,20}`).Draw(t, "value")
		f, err := audience.Parse(`maker = "` + value + `" or tags has "` + value + `"`)
		if err != nil {
			t.Fatal(err)
		}
		if condition, args := f.SQL(1, now); strings.Contains(condition, value) || len(args) != 2 {
			t.Errorf("%q is in %q", value, condition)
		}
	})
}
