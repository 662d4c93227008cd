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

describe('the warning of ports that run short', () => {
  it('counts no port in TIME_WAIT as taken that can be used again', () => {
    const report = { ...calm, used: 95, timeWait: 90, reusable: 50, free: 5, available: 55 }
    expect(new Alarm(warnAt).judge(report)).toEqual(['used'])
    expect(messages).toEqual([
      expect.stringContaining(
        '45 of 100 ports from 10.0.0.9 to 10.0.0.1:80 are taken, 40 of them in',
      ),
    ])
  })

  it.each([
    [0, 'to 10.0.0.1:80 are used up at 20 connections/s'],
    [0.2, 'to 10.0.0.1:80 will be used up in 1 s at 20 connections/s'],
    [59.5, 'to 10.0.0.1:80 will be used up in 60 s at 20 connections/s'],
  ])('says that there is none in %d s', (secondsUntilExhaustion, text) => {
    const troubles = new Alarm(warnAt).judge({ ...calm, secondsUntilExhaustion })
    expect(troubles).toEqual(['exhaustion'])
    expect(messages).toEqual([expect.stringContaining(text)])
  })

  it('is not given where the caller shows the troubles itself', () => {
    const alarm = new Alarm(warnAt, true)
    expect(alarm.judge({ ...calm, secondsUntilExhaustion: 0 })).toEqual(['exhaustion'])
    expect(messages).toEqual([])
  })
})

describe('the time until a warning', () => {
  it.each<[string, Partial<Judged>, number]>([
    ['is that until the share is taken', {}, 2],
    ['does not end where the ports last', { rate: 0 }, Infinity],
    ['is that until so many seconds are left', { rate: 10, secondsUntilExhaustion: 61 }, 1],
    ['is over where the share is taken', { available: 60 }, Infinity],
    ['goes on to the next', { available: 60, secondsUntilExhaustion: 70 }, 10],
    ['is over where both are', { available: 60, secondsUntilExhaustion: 60 }, Infinity],
  ])('%s', (_, report, seconds) => {
    expect(secondsUntilWarning({ ...calm, ...report }, warnAt)).toBe(seconds)
  })
})
