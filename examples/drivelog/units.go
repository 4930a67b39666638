package main

import (
	"sort"
	"strings"
)

// unit is one way to write a quantity: value in the quantity's SI unit = (number + before) * times / by.
type unit struct {
	quantity          string
	before, times, by float64
}

// Exact by definition: yard and pound (1959 agreement), standard gravity (CGPM 1901), inch of 25.4 mm.
var units = map[string]unit{
	"m/s": {"speed", 0, 1, 1}, "km/h": {"speed", 0, 1000, 3600}, "mph": {"speed", 0, 1609.344, 3600},
	"kn": {"speed", 0, 1852, 3600}, "ft/s": {"speed", 0, 0.3048, 1},
	"mm/h": {"speed", 0, 0.001, 3600}, "in/h": {"speed", 0, 0.0254, 3600},
	"m": {"length", 0, 1, 1}, "mm": {"length", 0, 1, 1000}, "cm": {"length", 0, 1, 100}, "km": {"length", 0, 1000, 1},
	"in": {"length", 0, 0.0254, 1}, "ft": {"length", 0, 0.3048, 1}, "yd": {"length", 0, 0.9144, 1},
	"kg": {"mass", 0, 1, 1}, "t": {"mass", 0, 1000, 1}, "lb": {"mass", 0, 0.45359237, 1},
	"m/s²": {"acceleration", 0, 1, 1}, "m/s2": {"acceleration", 0, 1, 1}, "g": {"acceleration", 0, 9.80665, 1},
	"ft/s²": {"acceleration", 0, 0.3048, 1}, "ft/s2": {"acceleration", 0, 0.3048, 1},
	"K": {"temperature", 0, 1, 1}, "°C": {"temperature", 273.15, 1, 1}, "degC": {"temperature", 273.15, 1, 1},
	"°F": {"temperature", 459.67, 5, 9}, "degF": {"temperature", 459.67, 5, 9},
	"Pa": {"pressure", 0, 1, 1}, "kPa": {"pressure", 0, 1000, 1}, "hPa": {"pressure", 0, 100, 1},
	"bar": {"pressure", 0, 100000, 1}, "psi": {"pressure", 0, 0.45359237 * 9.80665, 0.0254 * 0.0254},
	"1": {"ratio", 0, 1, 1}, "%": {"ratio", 0, 1, 100},
	"px": {"pixels", 0, 1, 1},
}

// converted is a number of one unit in another of the same quantity.
func converted(number float64, from, to unit) float64 {
	if from == to {
		return number
	}
	// Each product is rounded by itself: where a compiler may join two steps, the last digit would hang on the CPU.
	si := float64((number+from.before)*from.times) / from.by
	return float64(si*to.by)/to.times - to.before
}

// known lists units, of one quantity or, if that is empty, all.
func known(quantity string) string {
	var names []string
	for name, one := range units {
		if quantity == "" || one.quantity == quantity {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}
