package web

// button is a form with one button that asks for a change.
type button struct {
	App, CSRF string
	What      string            // of [changes]
	With      map[string]string // what it is done to
	Back      string            // where the viewer is led afterwards
	Label     string            // where the words alone would not do
	Words     string
}

// Do is a button about a notification.
func (v notificationView) Do(csrf, what, words string) button {
	return button{App: v.App, CSRF: csrf, What: what, With: map[string]string{"id": v.ID}, Back: notificationPath(v.App, v.ID), Words: words}
}

// Open tells whether there is something to be done with the notification.
func (v notificationView) Open() bool { return v.State != "done" && v.State != "cancelled" }

// Erase is the button that erases the device.
func (v installView) Erase(csrf string) button {
	return button{App: v.App, CSRF: csrf, What: "device.erase", With: map[string]string{"id": v.Device.ID}, Back: within("/devices", v.App), Words: "Erase " + v.Device.ID}
}

// All is a button about all tasks that were given up.
func (v queuesView) All(csrf, what, words string) button {
	return button{App: v.App, CSRF: csrf, What: what, With: map[string]string{"queue": v.Queue}, Back: v.With("", ""), Words: words}
}

// Act is a button about the task.
func (v taskView) Act(csrf, what, words string) button {
	return button{App: v.App, CSRF: csrf, What: what, With: map[string]string{"queue": v.Task.Queue, "id": v.Task.ID}, Back: about("/queues", v.App, "queue", v.Task.Queue), Words: words}
}

// Node is a button about a node.
func (v liveView) Node(csrf, what, words, id string) button {
	return button{App: v.App, CSRF: csrf, What: what, With: map[string]string{"id": id}, Back: within("/live", v.App), Words: words, Label: words + " " + id}
}

// Form is the hidden part of a form of the settings.
func (v settingsView) Form(csrf, what string) button {
	return button{App: v.App, CSRF: csrf, What: what, Back: about("/settings", v.App, "tab", v.Tab)}
}

// Do is a button about one thing of the settings.
func (v settingsView) Do(csrf, what, words, id string) button {
	b := v.Form(csrf, what)
	b.With, b.Words, b.Label = map[string]string{"id": id}, words, words+": "+id
	return b
}

// Edit is where a template is changed.
func (v settingsView) Edit(id string) string { return v.With("template", id) }
