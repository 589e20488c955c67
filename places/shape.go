package places

import (
	"fmt"
	"math"

	"github.com/golang/geo/s1"
	"github.com/golang/geo/s2"

	"github.com/herald-push/herald/push"
)

// earthRadius is that of a sphere of the earth's volume, in metres (IUGG).
// Distances are off by at most half a percent, for the earth is no sphere.
const earthRadius = 6_371_008.8

// Limits of shapes.
const (
	MaxRadius  = 2_000_000 // metres
	MaxCorners = 500
)

// region is a shape that can be asked what lies in it. It is never changed.
type region struct {
	circle *push.Circle
	loop   *s2.Loop
	bounds []rect
	polar  bool // it reaches beyond the grid
}

// newRegion makes a region of a shape that was checked.
func newRegion(s push.Shape) *region {
	if c := s.Circle; c != nil {
		middle := s2.PointFromLatLng(s2.LatLngFromDegrees(c.Lat, c.Lon))
		// A little more than the radius: its own rounding must not cut it short.
		bound := s2.CapFromCenterAngle(middle, s1.Angle((c.Radius+1)/earthRadius)).RectBound()
		return newBounded(&region{circle: c}, bound)
	}
	loop := loopOf(s.Polygon)
	loop.Normalize()
	loop.ContainsPoint(s2.OriginPoint()) // builds its index now, so that it is never changed later
	return newBounded(&region{loop: loop}, loop.RectBound())
}

func newBounded(g *region, bound s2.Rect) *region {
	const slack = 1e-7 // degrees; a centimetre
	lat, lon := bound.Lat, bound.Lng
	south, north := lat.Lo*180/math.Pi-slack, lat.Hi*180/math.Pi+slack
	g.polar = north >= gridEdge || south <= -gridEdge
	add := func(west, east float64) { g.bounds = append(g.bounds, rect{south, north, west, east}) }
	west, east := lon.Lo*180/math.Pi-slack, lon.Hi*180/math.Pi+slack
	switch {
	case lon.IsFull():
		add(-180, 180)
	case lon.IsInverted():
		add(west, 180)
		add(-180, east)
	default:
		add(west, east)
		if east >= 180 { // the antimeridian is at both ends of the map
			add(-180, east-360)
		}
		if west <= -180 {
			add(west+360, 180)
		}
	}
	return g
}

func loopOf(corners []push.Location) *s2.Loop {
	points := make([]s2.Point, len(corners))
	for i, c := range corners {
		points[i] = s2.PointFromLatLng(s2.LatLngFromDegrees(c.Lat, c.Lon))
	}
	return s2.LoopFromPoints(points)
}

// contains tells whether a point lies in the region.
func (g *region) contains(p point) bool { return g.has(p, nil) }

// has is contains with room for the point on the sphere, which is worked out
// once for all regions that need it.
func (g *region) has(p point, on *s2.Point) bool {
	if g.circle != nil {
		return distance(point{g.circle.Lat, g.circle.Lon}, p) <= g.circle.Radius
	}
	here := rect{p.lat, p.lat, p.lon, p.lon}
	for _, b := range g.bounds {
		if !b.meets(here) {
			continue
		}
		if on == nil {
			on = new(s2.Point)
		}
		if on.X == 0 && on.Y == 0 && on.Z == 0 {
			*on = s2.PointFromLatLng(s2.LatLngFromDegrees(p.lat, p.lon))
		}
		return g.loop.ContainsPoint(*on)
	}
	return false
}

// middle is a point that stands for the region where one has to.
func (g *region) middle() point {
	if g.circle != nil {
		return point{g.circle.Lat, g.circle.Lon}
	}
	ll := s2.LatLngFromPoint(s2.Point{Vector: g.loop.Centroid().Normalize()})
	return point{ll.Lat.Degrees(), ll.Lng.Degrees()}
}

// distance is how far two points are apart, in metres, by the haversine.
func distance(a, b point) float64 {
	const rad = math.Pi / 180
	lat, lon := math.Sin((b.lat-a.lat)*rad/2), math.Sin((b.lon-a.lon)*rad/2)
	h := lat*lat + math.Cos(a.lat*rad)*math.Cos(b.lat*rad)*lon*lon
	return 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1)))
}

// Add notes a fault of a field.
type Add func(field, detail string)

// CheckPoint checks a position in degrees.
func CheckPoint(add Add, prefix string, lat, lon float64) {
	if !(math.Abs(lat) <= 90) { // NaN too
		add(prefix+"lat", "must be -90 to 90 degrees")
	}
	if !(math.Abs(lon) <= 180) {
		add(prefix+"lon", "must be -180 to 180 degrees")
	}
}

// CheckCircle checks a circle.
func CheckCircle(add Add, prefix string, c push.Circle) {
	CheckPoint(add, prefix, c.Lat, c.Lon)
	if !(c.Radius > 0 && c.Radius <= MaxRadius) {
		add(prefix+"radius_m", fmt.Sprintf("must be more than 0 and at most %d metres", MaxRadius))
	}
}

// CheckPolygon checks a polygon and returns its corners, each once.
func CheckPolygon(add Add, field string, corners []push.Location) []push.Location {
	if n := len(corners); n > 1 && corners[0] == corners[n-1] {
		corners = corners[:n-1] // some say the first once more at the end
	}
	if n := len(corners); n < 3 || n > MaxCorners {
		add(field, fmt.Sprintf("must have 3 to %d corners, not %d", MaxCorners, n))
		return corners
	}
	fine := true
	for i, c := range corners {
		CheckPoint(func(f, detail string) { fine = false; add(f, detail) }, fmt.Sprintf("%s[%d].", field, i), c.Lat, c.Lon)
	}
	if !fine {
		return corners
	}
	if why := tangled(loopOf(corners)); why != "" {
		add(field, why)
	}
	return corners
}

// tangled says why a loop has no inside; "" if it has.
func tangled(loop *s2.Loop) string {
	if err := loop.Validate(); err != nil {
		return "is no polygon: two corners lie at the same place, or at opposite ends of the earth"
	}
	n := loop.NumVertices()
	for i := range n {
		crosser := s2.NewChainEdgeCrosser(loop.Vertex(i), loop.Vertex(i+1), loop.Vertex(i+2))
		for j := i + 2; j < n; j++ {
			if crossing := crosser.ChainCrossingSign(loop.Vertex(j + 1)); crossing != s2.DoNotCross && (i > 0 || j < n-1) {
				return fmt.Sprintf("meets itself: the edge behind corner %d and that behind corner %d", i, j)
			}
		}
	}
	return ""
}

// CheckShape checks that a shape is one of the two, and that one.
func CheckShape(add Add, s *push.Shape) {
	switch {
	case (s.Circle != nil) == (s.Polygon != nil):
		add("circle", "exactly one of circle and polygon is needed")
	case s.Circle != nil:
		CheckCircle(add, "circle.", *s.Circle)
	default:
		s.Polygon = CheckPolygon(add, "polygon", s.Polygon)
	}
}
