package xiaomi

import (
	"testing"

	"github.com/herald-push/herald/providers/providertest"
)

func TestRecordedReplies(t *testing.T) { providertest.Replay(t, service()) }
