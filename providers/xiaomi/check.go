package xiaomi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald/providers"
)

// Check implements [providers.Checker]: it asks for the counts of yesterday,
// which takes the app's secret and package and sends nothing.
func (p *Provider) Check(ctx context.Context) (said string, err error) {
	day := providers.InChina(time.Now()).AddDate(0, 0, -1).Format("20060102")
	asked := url.Values{"start_date": {day}, "end_date": {day}, "restricted_package_name": {p.config.Package}}
	x, e := p.ask(ctx, http.MethodGet, p.base+"/v1/stats/message/counters?"+asked.Encode(), "")
	if e != nil {
		return "", e
	}
	var answer struct {
		Code json.Number `json:"code"`
	}
	if json.Unmarshal(x.Body, &answer) != nil || answer.Code == "" {
		return "", providers.Unexpected(name, x)
	}
	if word := answer.Code.String(); x.Status/100 != 2 || word != "0" {
		return "", p.refusal(x, word)
	}
	return "it tells the app's counts", nil
}
