// A small database of Grype's schema 6, written by Grype's own writer: a few real records, and
// some of CVE-2099 where no real one is as plain. `go run . FOLDER` (see ../README.md).
package main

import (
	"os"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
)

func day(s string) *time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return &t
}

func cvss(v string) v6.Severity {
	return v6.Severity{Scheme: v6.SeveritySchemeCVSS, Value: v6.CVSSSeverity{Vector: v, Version: "3.1"}, Source: "nvd@nist.gov", Rank: 1}
}

func word(w string) []v6.Severity {
	if w == "" {
		return nil
	}
	return []v6.Severity{{Scheme: v6.SeveritySchemeCHMLN, Value: w, Rank: 1}}
}

type record struct {
	provider  string
	id        string
	severity  []v6.Severity
	url       string
	aliases   []string
	published string
	os        *v6.OperatingSystem
	ecosystem string
	pkg       string
	kind      string
	versions  string
	fix       v6.FixStatus
	fixed     string
	fixDay    string
	advisory  string
	advURL    string
	cves      []string
	module    *string
	extra     []v6.Severity
	status    v6.VulnerabilityStatus
}

func main() {
	dir := os.Args[1]
	w, err := v6.NewWriter(v6.Config{DBDirPath: dir})
	if err != nil {
		panic(err)
	}
	captured := day("2026-11-24")
	providers := map[string]*v6.Provider{}
	for _, id := range []string{"debian", "alpine", "rhel", "github", "nvd"} {
		at := *captured
		if id == "alpine" {
			at = *day("2026-11-20")
		}
		providers[id] = &v6.Provider{ID: id, Version: "1", Processor: "vunnel@0.54.0", DateCaptured: &at, InputDigest: "xxh64:0123456789abcdef"}
	}
	debian := func() *v6.OperatingSystem {
		return &v6.OperatingSystem{Name: "debian", ReleaseID: "debian", MajorVersion: "12", Codename: "bookworm", EOLDate: day("2028-06-30"), EOASDate: day("2026-06-10")}
	}
	stretch := func() *v6.OperatingSystem {
		return &v6.OperatingSystem{Name: "debian", ReleaseID: "debian", MajorVersion: "9", Codename: "stretch", EOLDate: day("2022-06-30")}
	}
	alpine := func() *v6.OperatingSystem {
		return &v6.OperatingSystem{Name: "alpine", ReleaseID: "alpine", MajorVersion: "3", MinorVersion: "20", EOLDate: day("2027-04-01")}
	}
	rhel := func() *v6.OperatingSystem {
		return &v6.OperatingSystem{Name: "redhat", ReleaseID: "rhel", MajorVersion: "9", Codename: "plow", EOLDate: day("2032-05-31")}
	}
	module := "nodejs:18"
	high := "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	nvd := func(id string, published string, vectors ...string) record {
		r := record{provider: "nvd", id: id, url: "https://nvd.nist.gov/vuln/detail/" + id, published: published}
		for _, v := range vectors {
			r.severity = append(r.severity, cvss(v))
		}
		return r
	}
	deb := "https://security-tracker.debian.org/tracker/"
	records := []record{
		nvd("CVE-2024-45491", "2024-08-30", high),
		nvd("CVE-2023-45853", "2023-10-14", high),
		nvd("CVE-2026-5450", "2026-04-20", high),
		nvd("CVE-2024-5535", "2024-06-27", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:H"),
		nvd("CVE-2023-0286", "2023-02-08", "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:H"),
		nvd("CVE-2024-34064", "2024-05-06", "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:L/I:L/A:N"),
		nvd("CVE-2023-30581", "2023-11-23", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N"),

		{provider: "debian", id: "CVE-2024-45491", severity: word("critical"), url: deb + "CVE-2024-45491", os: debian(), ecosystem: "deb", pkg: "expat", kind: "deb", versions: "< 2.5.0-1+deb12u1", fix: v6.FixedStatus, fixed: "2.5.0-1+deb12u1", fixDay: "2024-09-14", advisory: "DSA-5770-1", advURL: deb + "DSA-5770-1"},
		{provider: "debian", id: "CVE-2023-45853", severity: word("critical"), url: deb + "CVE-2023-45853", os: debian(), ecosystem: "deb", pkg: "zlib", kind: "deb", fix: v6.WontFixStatus},
		{provider: "debian", id: "CVE-2099-1003", severity: word("low"), url: deb + "CVE-2099-1003", os: debian(), ecosystem: "deb", pkg: "netbase", kind: "deb", fix: v6.WontFixStatus},
		{provider: "debian", id: "CVE-2026-5450", severity: word("critical"), url: deb + "CVE-2026-5450", os: debian(), ecosystem: "deb", pkg: "glibc", kind: "deb", fix: v6.NotFixedStatus},
		{provider: "debian", id: "CVE-2005-2541", severity: word("negligible"), url: deb + "CVE-2005-2541", os: debian(), ecosystem: "deb", pkg: "tar", kind: "deb", fix: v6.NotFixedStatus},
		{provider: "debian", id: "CVE-2099-1001", url: deb + "CVE-2099-1001", os: debian(), ecosystem: "deb", pkg: "openssh", kind: "deb", versions: "< 1:9.2p1-2+deb12u11", fix: v6.FixedStatus, fixed: "1:9.2p1-2+deb12u11"},
		{provider: "debian", id: "CVE-2099-1002", severity: word("high"), url: deb + "CVE-2099-1002", os: debian(), ecosystem: "deb", pkg: "bash", kind: "deb", versions: "< 5.2.15-2", fix: v6.FixedStatus, fixed: "5.2.15-2"},
		{provider: "debian", id: "CVE-2099-1004", severity: word("high"), url: deb + "CVE-2099-1004", os: debian(), ecosystem: "deb", pkg: "linux", kind: "deb", fix: v6.NotFixedStatus},
		{provider: "debian", id: "CVE-2021-33560", severity: word("high"), url: deb + "CVE-2021-33560", os: stretch(), ecosystem: "deb", pkg: "libgcrypt20", kind: "deb", versions: "< 1.7.6-2+deb9u4", fix: v6.FixedStatus, fixed: "1.7.6-2+deb9u4"},

		{provider: "alpine", id: "CVE-2024-5535", severity: word("critical"), url: "https://security.alpinelinux.org/vuln/CVE-2024-5535", os: alpine(), ecosystem: "apk", pkg: "openssl", kind: "apk", versions: "< 3.3.1-r1", fix: v6.FixedStatus, fixed: "3.3.1-r1"},

		{provider: "rhel", id: "CVE-2023-0286", severity: word("high"), extra: []v6.Severity{{Scheme: v6.SeveritySchemeCVSS, Value: v6.CVSSSeverity{Vector: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:H", Version: "3.1"}, Source: "secalert@redhat.com", Rank: 2}}, url: "https://access.redhat.com/security/cve/CVE-2023-0286", os: rhel(), ecosystem: "rpm", pkg: "openssl", kind: "rpm", versions: "< 1:3.0.1-47.el9_1", fix: v6.FixedStatus, fixed: "1:3.0.1-47.el9_1", advisory: "RHSA-2023:0946", advURL: "https://access.redhat.com/errata/RHSA-2023:0946", fixDay: "2023-02-28"},
		{provider: "rhel", id: "CVE-2099-2001", severity: word("low"), url: "https://access.redhat.com/security/cve/CVE-2099-2001", os: rhel(), ecosystem: "rpm", pkg: "bash", kind: "rpm", fix: v6.WontFixStatus},
		{provider: "rhel", id: "CVE-2023-30581", severity: word("medium"), url: "https://access.redhat.com/security/cve/CVE-2023-30581", os: rhel(), ecosystem: "rpm", pkg: "nodejs", kind: "rpm", versions: "< 1:18.16.1-1.module+el9.2.0.z+19424+78951f35", fix: v6.FixedStatus, fixed: "1:18.16.1-1.module+el9.2.0.z+19424+78951f35", module: &module},

		{provider: "github", id: "GHSA-h75v-3vvj-5mfj", severity: word("medium"), extra: []v6.Severity{cvss("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:L/I:L/A:N")}, url: "https://github.com/advisories/GHSA-h75v-3vvj-5mfj", aliases: []string{"CVE-2024-34064"}, published: "2024-05-06", ecosystem: "python", pkg: "jinja2", kind: "python", versions: "<=3.1.3", fix: v6.FixedStatus, fixed: "3.1.4", fixDay: "2024-05-05"},
		{provider: "github", id: "GHSA-29mw-wpgm-hmr9", severity: word("medium"), url: "https://github.com/advisories/GHSA-29mw-wpgm-hmr9", aliases: []string{"CVE-2020-28500"}, ecosystem: "npm", pkg: "lodash", kind: "semver", versions: "<4.17.21", fix: v6.FixedStatus, fixed: "4.17.21"},
	}
	for _, r := range records {
		status := r.status
		if status == "" {
			status = v6.VulnerabilityActive
		}
		h := &v6.VulnerabilityHandle{
			Name: r.id, Status: status, ProviderID: r.provider, Provider: providers[r.provider],
			BlobValue: &v6.VulnerabilityBlob{ID: r.id, Aliases: r.aliases, Severities: append(r.severity, r.extra...), References: []v6.Reference{{URL: r.url}}},
		}
		if r.published != "" {
			h.PublishedDate = day(r.published)
		}
		if err := w.AddVulnerabilities(h); err != nil {
			panic(err)
		}
		if r.pkg == "" {
			continue
		}
		fix := &v6.Fix{Version: r.fixed, State: r.fix}
		detail := &v6.FixDetail{}
		if r.fixDay != "" {
			detail.Available = &v6.FixAvailability{Date: day(r.fixDay), Kind: "advisory"}
		}
		if r.advisory != "" {
			detail.References = []v6.Reference{{URL: r.advURL, ID: r.advisory, Tags: []string{v6.AdvisoryReferenceTag}}}
		}
		fix.Detail = detail
		blob := &v6.PackageBlob{CVEs: r.cves, Ranges: []v6.Range{{Version: v6.Version{Type: r.kind, Constraint: r.versions}, Fix: fix}}}
		if r.module != nil {
			blob.Qualifiers = &v6.PackageQualifiers{RpmModularity: r.module}
		}
		if err := w.AddAffectedPackages(&v6.AffectedPackageHandle{
			Vulnerability: h, OperatingSystem: r.os, Package: &v6.Package{Ecosystem: r.ecosystem, Name: r.pkg}, BlobValue: blob,
		}); err != nil {
			panic(err)
		}
	}
	// NVD by CPE, for what no feed of a distribution speaks about
	redis := &v6.VulnerabilityHandle{Name: "CVE-2022-24735", Status: v6.VulnerabilityActive, ProviderID: "nvd", Provider: providers["nvd"],
		BlobValue: &v6.VulnerabilityBlob{ID: "CVE-2022-24735", Severities: []v6.Severity{cvss("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H")}, References: []v6.Reference{{URL: "https://nvd.nist.gov/vuln/detail/CVE-2022-24735"}}}}
	busybox := &v6.VulnerabilityHandle{Name: "CVE-2023-42363", Status: v6.VulnerabilityActive, ProviderID: "nvd", Provider: providers["nvd"],
		BlobValue: &v6.VulnerabilityBlob{ID: "CVE-2023-42363", Severities: []v6.Severity{cvss("CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H")}, References: []v6.Reference{{URL: "https://nvd.nist.gov/vuln/detail/CVE-2023-42363"}}}}
	if err := w.AddVulnerabilities(redis, busybox); err != nil {
		panic(err)
	}
	for _, one := range []*v6.AffectedCPEHandle{
		{Vulnerability: redis, CPE: &v6.Cpe{Part: "a", Vendor: "redis", Product: "redis"}, BlobValue: &v6.PackageBlob{CVEs: []string{"CVE-2022-24735"}, Ranges: []v6.Range{{Version: v6.Version{Constraint: "< 6.2.7"}, Fix: &v6.Fix{Version: "6.2.7", State: v6.FixedStatus}}}}},
		{Vulnerability: busybox, CPE: &v6.Cpe{Part: "a", Vendor: "busybox", Product: "busybox"}, BlobValue: &v6.PackageBlob{CVEs: []string{"CVE-2023-42363"}, Ranges: []v6.Range{{Version: v6.Version{Constraint: "= 1.36.1"}}}}},
	} {
		if err := w.AddAffectedCPEs(one); err != nil {
			panic(err)
		}
	}
	if err := w.SetDBMetadata(); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
}
