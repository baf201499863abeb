package keeper

import (
	"google.golang.org/protobuf/proto"

	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

// view keeps the patterns that the caller knows, so that nothing is repeated.
//
// A new stream replays the changes that were missed, or begins with a snapshot when the token was too old or from within
// one. Of a snapshot the caller gets what is new to it or differs, and FADED for each pattern that it knows and that is no
// longer there.
type view struct {
	known        map[string]*networkv1.EmergingPattern
	inThisStream map[string]bool
	complete     bool
}

func newView() *view { return &view{known: map[string]*networkv1.EmergingPattern{}} }

func (v *view) streamBegins() { v.inThisStream = map[string]bool{} }

func (v *view) events(message *networkv1.StreamEmergingPatternsResponse) []EmergingEvent {
	switch {
	case message.GetEmergingPattern() != nil:
		return v.pattern(message.GetEmergingPattern(), message.GetResumeToken())
	case message.GetSnapshotComplete() != nil:
		return v.snapshot(message.GetSnapshotComplete(), message.GetResumeToken())
	case message.GetHeartbeat() != nil:
		return []EmergingEvent{Alive{}}
	}
	return nil // of a server that is newer than this client
}

func (v *view) pattern(pattern *networkv1.EmergingPattern, token string) []EmergingEvent {
	id := pattern.GetEmergingPatternId()
	v.inThisStream[id] = true
	known := v.known[id]
	switch pattern.GetChange() {
	case networkv1.EmergingPattern_CHANGE_PROMOTED, networkv1.EmergingPattern_CHANGE_FADED:
		delete(v.known, id)
		return []EmergingEvent{Changed{pattern, token}}
	}
	if known != nil {
		if proto.Equal(state(known), state(pattern)) {
			return nil
		}
		pattern.Change = networkv1.EmergingPattern_CHANGE_UPDATED
	}
	v.known[id] = pattern
	return []EmergingEvent{Changed{pattern, token}}
}

func (v *view) snapshot(end *networkv1.StreamEmergingPatternsResponse_SnapshotComplete, token string) []EmergingEvent {
	var events []EmergingEvent
	for id, pattern := range v.known {
		if !v.inThisStream[id] {
			delete(v.known, id)
			pattern.Change = networkv1.EmergingPattern_CHANGE_FADED
			events = append(events, Changed{pattern, token})
		}
	}
	if v.complete {
		return append(events, Alive{})
	}
	v.complete = true
	return append(events, SnapshotComplete{int(end.GetCount()), end.GetResumeTokenExpired(), token})
}

// state is a pattern without the kind of its change.
func state(pattern *networkv1.EmergingPattern) *networkv1.EmergingPattern {
	copied := proto.Clone(pattern).(*networkv1.EmergingPattern)
	copied.Change = networkv1.EmergingPattern_CHANGE_UNSPECIFIED
	return copied
}
