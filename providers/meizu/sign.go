package meizu

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald/providers"
)

// sign is the service's signature of a form: the MD5, in lower case, of its
// parameters by name, each "name=value" with nothing between, and the secret.
func sign(form url.Values, secret string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "sign" {
			b.WriteString(name + "=" + form.Get(name))
		}
	}
	sum := md5.Sum([]byte(b.String() + secret)) // the service's choice
	return hex.EncodeToString(sum[:])
}

// countsPath is where the service tells how many messages a day had.
const countsPath = "/garcia/api/server/push/statistics/dailyPushStatics"

// Check implements [providers.Checker]: it asks for the counts of yesterday,
// which takes the app's signature and sends nothing.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	day := providers.InChina(time.Now()).AddDate(0, 0, -1).Format("20060102")
	x, e := p.ask(ctx, http.MethodGet, countsPath, url.Values{"appId": {p.config.ID}, "startTime": {day}, "endTime": {day}})
	if e != nil {
		return "", e
	}
	var a answer
	if json.Unmarshal(x.Body, &a) != nil || len(a.Code) == 0 {
		return "", providers.Unexpected(name, x)
	}
	if code := strings.Trim(string(a.Code), `"`); x.Status/100 != 2 || code != accepted {
		return "", p.refusal(x, code)
	}
	return "it tells the app's counts", nil
}
