import { findingsOf } from '../../lib/doctor/diagnose'
import { severities } from '../../lib/doctor/rule'
import { rules } from '../../lib/doctor/rules'
import { warningCodes } from '../../lib/warnings'
import type { Facts } from '../../lib/doctor'
import { cases, healthy, sysctls, to, unknown } from './cases'

function codesOn(facts: Facts): string[] {
  return findingsOf(facts).map(({ code }) => code)
}

function settings(facts: Facts, code: string): [string, string][] {
  const { set = [] } = findingsOf(facts).find((finding) => finding.code === code) ?? {}
  return set.map(({ sysctl, value }) => [sysctl, value])
}

describe('the table of rules', () => {
  it('has a test case for each rule', () => {
    expect(Object.keys(cases).toSorted()).toEqual(rules.map(({ code }) => code).toSorted())
  })

  it('has unique codes in kebab-case', () => {
    const codes = rules.map(({ code }) => code)
    expect(new Set(codes).size).toBe(codes.length)
    expect(codes.filter((code) => !/^[a-z\d]+(-[a-z\d]+)+$/.test(code))).toEqual([])
    expect(codes.filter((code) => code in warningCodes)).toEqual([])
  })

  it.each(rules.map((rule) => [rule.code, rule] as const))(
    'has a title, a condition, an effect and a source for %s',
    (_, { title, when, why, source, severity }) => {
      expect(severities).toContain(severity)
      expect(title).not.toMatch(/[.\n]$/)
      for (const text of [when, why]) expect(text).toMatch(/^[^\n]+\.$/)
      expect(source).not.toBe('')
    },
  )

  it.each(rules.map(({ code }) => code))(
    'has the rule %s, which applies to facts with the problem',
    (code) => {
      const { fires } = cases[code] ?? { fires: [] }
      expect(fires).not.toEqual([])
      for (const facts of fires) expect(codesOn(facts)).toContain(code)
    },
  )

  it.each(rules.map(({ code }) => code))(
    'has the rule %s, which does not apply to facts close to the limit',
    (code) => {
      const { quiet } = cases[code] ?? { quiet: [] }
      expect(quiet).not.toEqual([])
      for (const facts of quiet) expect(codesOn(facts)).not.toContain(code)
    },
  )

  it.each(rules.map(({ code, sets = [] }) => [code, sets] as const))(
    'has the rule %s, which recommends the documented settings',
    (code, sets) => {
      const { fires } = cases[code] ?? { fires: [] }
      const asked = fires.flatMap((facts) => settings(facts, code).map(([sysctl]) => sysctl))
      expect([...new Set(asked)].toSorted()).toEqual(sets.toSorted())
    },
  )

  it('has no rule that applies to a well configured host', () => {
    expect(findingsOf(healthy)).toEqual([])
  })

  it('has no rule that applies if facts are missing', () => {
    expect(codesOn(unknown)).toEqual(['no-kernel-facts'])
    for (const fact of Object.keys(healthy) as (keyof Facts)[]) {
      if (fact === 'platform' || fact === 'kernelRelease') continue
      const less = Object.fromEntries(Object.entries(healthy).filter(([key]) => key !== fact))
      const expected = fact === 'sysctls' ? ['no-kernel-facts'] : []
      expect(codesOn(less as unknown as Facts)).toEqual(expected)
    }
  })

  it('has no rule that changes the facts', () => {
    for (const facts of Object.values(cases).flatMap(({ fires }) => fires)) {
      const before = structuredClone(facts)
      findingsOf(facts)
      expect(facts).toEqual(before)
    }
  })
})

describe('findings', () => {
  it('are sorted by severity', () => {
    const facts = {
      ...sysctls({ tcp_rfc1337: 0, tcp_tw_reuse: 0, somaxconn: 128, tcp_timestamps: 0 }),
      destinations: [to('192.0.2.9', 55_000, 100)],
    }
    const found = findingsOf(facts).map(({ severity }) => severities.indexOf(severity))
    expect(found).toEqual(found.toSorted((a, b) => a - b))
    expect(codesOn(facts)).toEqual([
      'destination-nearly-full',
      'timestamps-off',
      'tw-reuse-off',
      'somaxconn-low',
      'rfc1337-off',
    ])
  })

  it('recommend each setting as a command and as a line of a file', () => {
    const [finding] = findingsOf({ ...healthy, portRange: { min: 32_768, max: 60_999 } })
    expect(finding?.set).toEqual([
      {
        sysctl: 'net.ipv4.ip_local_port_range',
        value: '10240 65535',
        runtime: 'sysctl -w net.ipv4.ip_local_port_range="10240 65535"',
        persistent: 'net.ipv4.ip_local_port_range = 10240 65535',
      },
    ])
  })

  it('recommend no setting that is already in force', () => {
    for (const facts of Object.values(cases).flatMap(({ fires }) => fires)) {
      for (const { sysctl, value } of findingsOf(facts).flatMap(({ set = [] }) => set)) {
        const now = (facts.sysctls as Record<string, number> | undefined)?.[sysctl]
        expect(String(now)).not.toBe(value)
      }
    }
  })

  it('recommend a range that causes no finding itself', () => {
    const ranges = [
      [32_768, 60_999],
      [1_025, 65_535],
      [40_000, 40_000],
      [1_024, 65_534],
      [9_999, 50_001],
    ] as const
    for (const [min, max] of ranges) {
      const finding = findingsOf({ ...healthy, portRange: { min, max } }).find(
        ({ set = [] }) => set[0]?.sysctl === 'net.ipv4.ip_local_port_range',
      )
      const [low = 0, high = 0] = finding?.set?.[0]?.value.split(' ').map(Number) ?? []
      expect(low).toBeGreaterThan(0)
      expect(high).toBeLessThanOrEqual(65_535)
      expect(codesOn({ ...healthy, portRange: { min: low, max: high } })).toEqual([])
    }
  })

  it('reserve the ports of services within a wider range, and keep existing reservations', () => {
    const facts: Facts = {
      ...healthy,
      portRange: { min: 32_768, max: 60_999 },
      reservedPorts: [
        { min: 8_080, max: 8_080 },
        { min: 50_000, max: 50_010 },
      ],
      listeners: [80, 11_211, 27_017, 40_000, 50_005].map((port) => ({
        address: '::',
        port,
        sockets: 1,
        waiting: 0,
      })),
    }
    const reserved = ['net.ipv4.ip_local_reserved_ports', '8080,11211,27017,40000,50000-50010']
    expect(settings(facts, 'port-range-default')[1]).toEqual(reserved)
    expect(settings(facts, 'listener-in-range')).toEqual([reserved])
  })

  it('name the destination with the largest share of its ports in use', () => {
    const destinations = [
      to('2001:db8::1', 50_000, 20_000, 19_000),
      to('127.0.0.1', 55_000, 54_000, 54_000),
    ]
    const [finding] = findingsOf({ ...healthy, destinations })
    expect(finding).toMatchObject({ code: 'destination-slow-half' })
    expect(finding?.what).toContain('From 192.0.2.1 to [2001:db8::1]:443: 31,000 of 55,296 ports')
    expect(finding?.what).toContain('20,000 are in TIME_WAIT (19,000 of these can be reused')
  })

  it('are plain objects for JSON', () => {
    for (const facts of Object.values(cases).flatMap(({ fires }) => fires)) {
      const findings = findingsOf(facts)
      expect(JSON.parse(JSON.stringify(findings))).toEqual(findings)
    }
  })
})
