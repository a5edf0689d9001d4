package auth

import (
	"testing"

	"pgregory.net/rapid"

	"portaria/messaging"
)

func grantOf(r Record) *Grant {
	g := newGrant(&r)
	return &g
}

func TestLockedGrantResolvesOnlyItsInstances(t *testing.T) {
	g := grantOf(Record{
		ID: "key_a", Workspace: "wsp_1", Environment: messaging.Live,
		Instances: []AllowedInstance{{"ins_1", "loja"}, {"ins_2", "suporte"}},
	})
	if !g.Locked() {
		t.Error("not locked")
	}
	for ref, want := range map[string]string{
		"ins_1": "ins_1", "loja": "ins_1", "suporte": "ins_2", "ins_3": "", "vendas": "", "": "", "LOJA": "",
	} {
		if id, ok := g.InstanceID(ref); id != want || ok != (want != "") {
			t.Errorf("InstanceID(%q) = %q, %v", ref, id, ok)
		}
	}
	tenancy := g.Tenancy()
	if tenancy.Workspace() != "wsp_1" || tenancy.Environment() != messaging.Live {
		t.Errorf("tenancy %+v", tenancy)
	}
	if allow := tenancy.Allowlist(); allow.All() || !allow.Opens("ins_2") || allow.Opens("ins_3") {
		t.Errorf("allowlist %+v", allow)
	}
}

// The list of a locked key becomes empty when its last instance is deleted.
// Then it opens nothing, least of all everything.
func TestEmptyAllowlistOpensNothing(t *testing.T) {
	g := grantOf(Record{ID: "key_a", Workspace: "wsp_1", Environment: messaging.Test})
	if !g.Locked() {
		t.Error("a key without instances is not locked")
	}
	if _, ok := g.InstanceID("ins_1"); ok {
		t.Error("resolved an instance")
	}
	if allow := g.Tenancy().Allowlist(); allow.All() || allow.Opens("ins_1") {
		t.Error("its tenancy opens an instance")
	}
}

func TestUnlockedGrantOpensAll(t *testing.T) {
	g := grantOf(Record{ID: "key_a", AllInstances: true, Instances: []AllowedInstance{{"ins_1", "loja"}}})
	if _, ok := g.InstanceID("loja"); ok || g.Locked() {
		t.Error("an unlocked key has a lock")
	}
	if allow := g.Tenancy().Allowlist(); !allow.All() || !allow.Opens("ins_9") {
		t.Error("its tenancy does not open all")
	}
}

// A key opens its instances and no others, whatever is asked for.
func TestKeyOpensOnlyItsInstances(t *testing.T) {
	id := rapid.Map(rapid.IntRange(0, 20), func(i int) string { return string(rune('a' + i)) })
	rapid.Check(t, func(t *rapid.T) {
		mine := rapid.SliceOfDistinct(id, rapid.ID).Draw(t, "mine")
		r := Record{ID: "key_a"}
		inside := make(map[string]string)
		for _, m := range mine {
			r.Instances = append(r.Instances, AllowedInstance{ID: "ins_" + m, Name: m})
			inside["ins_"+m], inside[m] = "ins_"+m, "ins_"+m
		}
		ref := rapid.OneOf(id, rapid.Map(id, func(s string) string { return "ins_" + s }), rapid.String()).Draw(t, "ref")
		g := grantOf(r)
		if got, ok := g.InstanceID(ref); got != inside[ref] || ok != (inside[ref] != "") {
			t.Fatalf("InstanceID(%q) = %q, %v with %v", ref, got, ok, mine)
		}
	})
}

func TestTenancyDoesNotAllocate(t *testing.T) {
	g := grantOf(Record{ID: "key_a", Instances: []AllowedInstance{{"ins_1", "loja"}}})
	var tenancy messaging.Tenancy
	if n := testing.AllocsPerRun(100, func() { tenancy = g.Tenancy() }); n != 0 {
		t.Errorf("%v allocations for %v", n, tenancy)
	}
}
