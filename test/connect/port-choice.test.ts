import { getOption } from '../../lib'
import { chooseOtherPorts, choosePorts, portChoiceOf } from '../../lib/connect/port-choice'
import { systemPortRange } from '../../lib/kernel/proc'
import { tcpSocket } from '../sockets'

describe('portChoiceOf', () => {
  it.each([
    ['linux', '6.18.44-generic', 'whole'],
    ['linux', '6.8.0', 'whole'],
    ['linux', '6.7.12', 'windows'],
    ['linux', '6.3.0-rc1', 'windows'],
    ['linux', '6.2.16', 'kernel'],
    ['linux', '5.15.0', 'kernel'],
    ['linux', '4.19', 'kernel'],
    ['linux', '10.0.1', 'whole'],
    ['linux', 'unknown', 'kernel'],
    ['darwin', '24.6.0', 'kernel'],
  ] as const)("chooses on %s %s: '%s'", (platform, release, choice) => {
    expect(portChoiceOf(platform, release)).toBe(choice)
  })
})

describe('choosePorts', () => {
  const all = systemPortRange() ?? { min: 0, max: 0 }

  it('selects the whole range as 1 to 65535', () => {
    const fd = tcpSocket()
    choosePorts(fd, 'whole')
    expect(getOption(fd, 'IP_LOCAL_PORT_RANGE')).toEqual({ min: 1, max: 65535 })
    expect(chooseOtherPorts(fd, 'whole', 1)).toBe(false)
  })

  it('tries windows of 256 ports within the range, and finally the whole range', () => {
    const fd = tcpSocket()
    choosePorts(fd, 'windows')
    const seen = new Set<number>()
    for (let tries = 1; ; tries++) {
      const { min, max } = getOption(fd, 'IP_LOCAL_PORT_RANGE')
      if (min === 0) {
        expect(tries).toBe(9)
        break
      }
      expect(max - min).toBe(255)
      expect(min).toBeGreaterThanOrEqual(all.min)
      expect(max).toBeLessThanOrEqual(all.max)
      seen.add(min)
      expect(chooseOtherPorts(fd, 'windows', tries)).toBe(true)
    }
    expect(seen.size).toBeGreaterThan(1)
    expect(chooseOtherPorts(fd, 'windows', 9)).toBe(false)
  })

  it("does not restrict the kernel's own search", () => {
    const fd = tcpSocket()
    choosePorts(fd, 'kernel')
    expect(getOption(fd, 'IP_LOCAL_PORT_RANGE')).toEqual({ min: 0, max: 0 })
    expect(chooseOtherPorts(fd, 'kernel', 1)).toBe(false)
  })
})
