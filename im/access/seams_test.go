package access_test

import (
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/longconn"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/live"
)

// What cmd plugs together fits without adapters.
var (
	_ longconn.Handler   = (*access.Access)(nil)
	_ routing.Local      = (*access.Access)(nil)
	_ access.Presence    = (*routing.Router)(nil)
	_ live.Router        = (*routing.Router)(nil)
	_ providers.Provider = (*live.Provider)(nil)
)
