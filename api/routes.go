package api

import (
	_ "embed"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed openapi.yaml
var document []byte

// routes is the whole API. In echo a colon begins a parameter, so the colon of
// "notifications:batch" is escaped.
func (s *Server) routes() {
	e := s.echo
	e.PUT("/v1/devices/:device", s.keyed(ScopeDevice, s.byHand("device.put", s.getDevice, s.putDevice)))
	e.GET("/v1/devices", s.keyed(ScopeRead, s.listDevices))
	e.GET("/v1/devices/:device/state", s.keyed(ScopeRead, s.getDeviceState))
	e.GET("/v1/devices/:device", s.keyed(ScopeRead, s.getDevice))
	e.DELETE("/v1/devices/:device", s.keyed(ScopeDevice, s.byHand("device.delete", s.getDevice, s.deleteDevice)))
	e.POST("/v1/devices/:device/token", s.keyed(ScopeDevice, s.mintToken))

	e.GET("/v1/notifications", s.keyed(ScopeRead, s.listNotifications))
	e.POST("/v1/notifications", s.keyed(ScopeSend, s.byHand("notification.send", nil, s.createNotification)))
	e.POST(`/v1/notifications\:batch`, s.keyed(ScopeSend, s.createBatch))
	e.POST(`/v1/notifications\:validate`, s.keyed(ScopeSend, s.validateNotification))
	e.GET("/v1/notifications/:notification", s.keyed(ScopeRead, s.getNotification))
	e.DELETE("/v1/notifications/:notification", s.keyed(ScopeSend, s.audited("notification.cancel", s.getNotification, s.cancelNotification), ScopeOperate))
	e.POST("/v1/notifications/:notification/~pause", s.keyed(ScopeSend, s.audited("notification.pause", s.getNotification, s.pauseNotification), ScopeOperate))
	e.POST("/v1/notifications/:notification/~resume", s.keyed(ScopeSend, s.audited("notification.resume", s.getNotification, s.resumeNotification), ScopeOperate))
	e.POST("/v1/notifications/:notification/~rate", s.keyed(ScopeSend, s.audited("notification.rate", s.getNotification, s.rateNotification), ScopeOperate))
	e.GET("/v1/notifications/:notification/deliveries", s.keyed(ScopeRead, s.listDeliveries))

	e.GET("/v1/schedules", s.keyed(ScopeRead, s.listSchedules))
	e.POST("/v1/schedules", s.keyed(ScopeSend, s.audited("schedule.create", nil, s.createSchedule)))
	e.GET("/v1/schedules/:schedule", s.keyed(ScopeRead, s.getSchedule))
	e.DELETE("/v1/schedules/:schedule", s.keyed(ScopeSend, s.audited("schedule.delete", s.getSchedule, s.deleteSchedule)))

	e.GET("/v1/templates", s.keyed(ScopeRead, s.listTemplates))
	e.PUT("/v1/templates/:template", s.keyed(ScopeAdmin, s.audited("template.put", s.getTemplate, s.putTemplate)))
	e.GET("/v1/templates/:template", s.keyed(ScopeRead, s.getTemplate))
	e.DELETE("/v1/templates/:template", s.keyed(ScopeAdmin, s.audited("template.delete", s.getTemplate, s.deleteTemplate)))
	e.POST("/v1/templates/:template/~preview", s.keyed(ScopeRead, s.previewTemplate))

	e.PUT("/v1/users/:user", s.keyed(ScopeDevice, s.byHand("user.put", s.getUser, s.putUser)))
	e.GET("/v1/users/:user", s.keyed(ScopeRead, s.getUser))
	e.DELETE("/v1/users/:user", s.keyed(ScopeDevice, s.byHand("user.delete", s.getUser, s.deleteUser)))

	e.POST("/v1/users/:user/~erase", s.keyed(ScopeAdmin, s.audited("user.erase", nil, s.beginErasure)))
	e.GET("/v1/users/:user/~erase", s.keyed(ScopeAdmin, s.getErasure))
	e.GET("/v1/users/:user/~export", s.unhurried(ScopeAdmin, s.audited("user.export", nil, s.exportUser)))

	e.POST("/v1/receipts", s.createReceipts)
	e.POST("/v1/callbacks/:provider", s.receiveCallback)

	e.GET("/v1/lanes", s.keyed(ScopeRead, s.listLanes))
	e.PUT("/v1/lanes/:provider", s.keyed(ScopeOperate, s.audited("lane.put", s.getLane, s.putLane)))

	e.GET("/v1/apps/:app", s.keyed(ScopeRead, s.getApp))
	e.PUT("/v1/apps/:app", s.keyed(ScopeAdmin, s.audited("app.put", s.getApp, s.putApp)))
	e.GET("/v1/apps/:app/providers/:provider", s.keyed(ScopeAdmin, s.getCredentials))
	e.PUT("/v1/apps/:app/providers/:provider", s.keyed(ScopeAdmin, s.audited("credentials.put", s.getCredentials, s.putCredentials)))
	e.DELETE("/v1/apps/:app/providers/:provider", s.keyed(ScopeAdmin, s.audited("credentials.delete", s.getCredentials, s.deleteCredentials)))
	e.GET("/v1/apps/:app/selection", s.keyed(ScopeRead, s.getSelection))
	e.PUT("/v1/apps/:app/selection", s.keyed(ScopeAdmin, s.audited("selection.put", s.getSelection, s.putSelection)))
	e.POST("/v1/apps/:app/providers/:provider/~rollback", s.keyed(ScopeAdmin, s.audited("credentials.rollback", s.getCredentials, s.rollBackCredentials)))
	e.GET("/v1/apps/:app/keys", s.keyed(ScopeAdmin, s.listKeys))
	e.POST("/v1/apps/:app/keys", s.keyed(ScopeAdmin, s.audited("key.create", nil, s.createKey)))
	e.DELETE("/v1/apps/:app/keys/:key", s.keyed(ScopeAdmin, s.audited("key.revoke", s.getKey, s.deleteKey)))

	e.GET("/v1/apps/:app/providers", s.keyed(ScopeAdmin, s.listProviders))
	e.GET("/v1/apps/:app/members", s.keyed(ScopeAdmin, s.listPeople))
	e.PUT("/v1/apps/:app/members/:member", s.keyed(ScopeAdmin, s.audited("member.put", s.getPerson, s.putPerson)))
	e.GET("/v1/apps/:app/members/:member", s.keyed(ScopeAdmin, s.getPerson))
	e.DELETE("/v1/apps/:app/members/:member", s.keyed(ScopeAdmin, s.audited("member.delete", s.getPerson, s.deletePerson)))
	e.GET("/v1/audit", s.keyed(ScopeOperate, s.listAudit))

	e.GET("/v1/queues", s.keyed(ScopeRead, s.listQueues))
	e.GET("/v1/queues/:queue/tasks", s.keyed(ScopeOperate, s.listTasks))
	e.POST("/v1/queues/:queue/tasks/~retry", s.keyed(ScopeOperate, s.audited("task.retry_all", nil, s.retryTasks)))
	e.DELETE("/v1/queues/:queue/tasks", s.keyed(ScopeOperate, s.audited("task.drop_all", nil, s.dropTasks)))
	e.GET("/v1/queues/:queue/tasks/:task", s.keyed(ScopeOperate, s.getTask))
	e.POST("/v1/queues/:queue/tasks/:task/~retry", s.keyed(ScopeOperate, s.audited("task.retry", s.getTask, s.retryTask)))
	e.DELETE("/v1/queues/:queue/tasks/:task", s.keyed(ScopeOperate, s.audited("task.drop", s.getTask, s.dropTask)))
	e.GET("/v1/nodes", s.keyed(ScopeRead, s.listNodes))
	e.POST("/v1/nodes/:node/~drain", s.keyed(ScopeOperate, s.audited("node.drain", nil, s.drainNode)))
	e.POST("/v1/nodes/:node/~keep", s.keyed(ScopeOperate, s.audited("node.keep", nil, s.keepNode)))

	s.chatRoutes()
	s.webhookRoutes()
	s.gatewayRoutes()
	s.placeRoutes()

	e.GET("/v1/providers/:provider/codes", s.keyed(ScopeRead, s.getCodes))
	e.PUT("/v1/providers/:provider/codes/:code", s.keyed(ScopeAdmin, s.audited("correction.put", nil, s.putCorrection)))
	e.DELETE("/v1/providers/:provider/codes/:code", s.keyed(ScopeAdmin, s.audited("correction.delete", nil, s.deleteCorrection)))

	e.GET("/healthz", s.healthy)
	e.GET("/readyz", s.ready)
	e.GET("/metrics", s.metrics(promhttp.HandlerFor(s.parts.Metrics, promhttp.HandlerOpts{})))
	e.GET("/openapi.yaml", func(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", document) })
}

// ours reports whether a path belongs to the API and never to a mount.
func ours(path string) bool {
	switch path {
	case "/healthz", "/readyz", "/metrics", "/openapi.yaml", "/v1":
		return true
	}
	return strings.HasPrefix(path, "/v1/")
}

// plainPath writes echo's pattern as OpenAPI does: "/v1/devices/{device}".
func plainPath(pattern string) string {
	if !strings.Contains(pattern, ":") {
		return pattern
	}
	segments := strings.Split(strings.ReplaceAll(pattern, `\:`, "\x00"), "/")
	for i, s := range segments {
		if name, ok := strings.CutPrefix(s, ":"); ok {
			segments[i] = "{" + name + "}"
		}
	}
	return strings.NewReplacer("\x00", ":", "/~", ":").Replace(strings.Join(segments, "/"))
}

// verb moves what is to be done with a thing, as in
// "/v1/notifications/n1:pause", behind a slash, where echo can route it: an id
// may have colons of its own.
func verb(r *http.Request) *http.Request {
	path := r.URL.Path
	for word, place := range verbs(r.Method) {
		if rest, ok := strings.CutSuffix(path, ":"+word); ok && strings.HasPrefix(path, "/v1/"+place+"/") {
			r = r.WithContext(r.Context())
			moved := *r.URL
			moved.Path, moved.RawPath = rest+"/~"+word, ""
			r.URL = &moved
		}
	}
	return r
}

// verbs are what is done by a method, and with which things.
func verbs(method string) map[string]string {
	switch method {
	case http.MethodGet:
		return map[string]string{"export": "users", "erase": "users"}
	case http.MethodPost:
		return map[string]string{
			"pause": "notifications", "resume": "notifications", "rate": "notifications", "preview": "templates",
			"rollback": "apps", "retry": "queues", "drain": "nodes", "keep": "nodes",
			"rotate": "webhooks", "test": "webhooks", "replay": "webhooks", "erase": "users",
		}
	default:
		return nil
	}
}
