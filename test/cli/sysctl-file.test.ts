import type { Diagnosis } from '../../lib/doctor'
import { sysctlFile } from '../../lib/cli/sysctl-file'
import { findingsOf } from '../../lib/doctor/diagnose'
import { healthy, sysctls } from '../doctor/cases'

function fileOf(facts: Diagnosis['facts']): string {
  return sysctlFile({ facts, findings: findingsOf(facts) })
}

describe('the file of --print-sysctl', () => {
  it('has each setting once, the most severe first, with its code and risk', () => {
    const narrow = { portRange: { min: 40_000, max: 40_100 }, destinations: [] }
    const text = fileOf(sysctls({ tcp_timestamps: 0, tcp_rfc1337: 0 }, narrow))
    const settings = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(settings).toEqual([
      'net.ipv4.ip_local_port_range = 10240 65535',
      'net.ipv4.tcp_timestamps = 1',
    ])
    expect(text).toContain('# Left out, since most hosts do not need them: rfc1337-off.\n')
    expect(text).toContain('(warning, timestamps-off)\n# Risk: 12 bytes in each segment.\n')
    expect(text).not.toContain('port-range-parity')
  })

  it('has only comments if no setting is needed', () => {
    const text = fileOf(healthy)
    expect(text).toMatch(/\n# No setting is needed\.\n$/)
    expect(text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([])
  })

  it('warns that a file on the host does not apply to other network namespaces', () => {
    expect(fileOf({ ...healthy, ownNamespace: true })).toContain('docker run --sysctl')
    expect(fileOf(healthy)).not.toContain('docker run --sysctl')
  })
})
