import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { configure, type SocketTunerWarning } from '../../lib'
import type { PortReport } from '../../lib/ports'
import { Alarm, secondsUntilWarning } from '../../lib/ports/alarm'

type Judged = Omit<PortReport, 'troubles'>

const warnAt = { used: 0.4, seconds: 60 }
const calm: Judged = {
  host: undefined,
  remoteAddress: '10.0.0.1',
  remotePort: 80,
  localAddress: '10.0.0.9',
  range: { min: 40_000, max: 40_099 },
  ports: 100,
  reserved: 0,
  listening: 0,
  bound: 0,
  byState: {},
  used: 0,
  timeWait: 0,
  reusable: 0,
  timeWaitReuse: { setting: 1, applies: true, delayMs: 1000 },
  free: 100,
  available: 100,
  untilSlow: 50,
  heldSeconds: 1,
  sustainableRate: 100,
  rate: 20,
  secondsUntilExhaustion: undefined,
  interrupted: false,
  time: 0,
  connects: 0,
  connectMicroseconds: undefined,
  slowestConnectMicroseconds: undefined,
  probeMicroseconds: undefined,
}

let messages: string[] = []
const onWarning = (warning: unknown) => void messages.push((warning as SocketTunerWarning).message)

beforeEach(() => {
  messages = []
  configure({ hazards: 'ignore' })
  subscribe('socket-tuner:warning', onWarning)
})
afterEach(() => {
  unsubscribe('socket-tuner:warning', onWarning)
  configure({ hazards: 'warn' })
})

describe('the warning about ports that run out', () => {
  it('does not count reusable ports in TIME_WAIT as used', () => {
    const report = { ...calm, used: 95, timeWait: 90, reusable: 50, free: 5, available: 55 }
    expect(new Alarm(warnAt).judge(report)).toEqual(['used'])
    expect(messages).toEqual([
      expect.stringContaining(
        '45 of 100 ports from 10.0.0.9 to 10.0.0.1:80 are in use, 40 of them in',
      ),
    ])
  })

  it.each([
    [0, 'to 10.0.0.1:80 have run out at 20 connections/s'],
    [0.2, 'to 10.0.0.1:80 run out in 1 s at 20 connections/s'],
    [59.5, 'to 10.0.0.1:80 run out in 60 s at 20 connections/s'],
  ])('reports that the ports run out in %d s', (secondsUntilExhaustion, text) => {
    const troubles = new Alarm(warnAt).judge({ ...calm, secondsUntilExhaustion })
    expect(troubles).toEqual(['exhaustion'])
    expect(messages).toEqual([expect.stringContaining(text)])
  })

  it('is not emitted if the caller handles it itself', () => {
    const alarm = new Alarm(warnAt, true)
    expect(alarm.judge({ ...calm, secondsUntilExhaustion: 0 })).toEqual(['exhaustion'])
    expect(messages).toEqual([])
  })
})

describe('the time until a warning', () => {
  it.each<[string, Partial<Judged>, number]>([
    ['lasts until the share is in use', {}, 2],
    ['is infinite if the ports do not run out', { rate: 0 }, Infinity],
    ['lasts until the given seconds are left', { rate: 10, secondsUntilExhaustion: 61 }, 1],
    ['is infinite after the warning about the share', { available: 60 }, Infinity],
    ['lasts until the next warning', { available: 60, secondsUntilExhaustion: 70 }, 10],
    ['is infinite after both warnings', { available: 60, secondsUntilExhaustion: 60 }, Infinity],
  ])('%s', (_, report, seconds) => {
    expect(secondsUntilWarning({ ...calm, ...report }, warnAt)).toBe(seconds)
  })
})
