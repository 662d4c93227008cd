import { execFile } from 'node:child_process'
import { constants as os } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { native } from '../../lib/kernel/binding'
import { closeLater, tcpSocket } from '../sockets'

// Only Linux has epoll(7).
const linux = process.platform === 'linux' ? describe : describe.skip

const { EINVAL, EBADF, EMFILE } = os.errno
const records = (): Int32Array => new Int32Array(64)
const input = (): Uint8Array => new Uint8Array(8_192)
const wake = (): void => undefined

async function run(name: string): Promise<string> {
  const args = [join(__dirname, 'poller-program.js'), name]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
  expect(stderr).toBe('')
  return stdout
}

linux('openPoller', () => {
  it.each([
    ['records of another type', [new Uint32Array(64), input(), wake]],
    ['too few records', [new Int32Array(8), input(), wake]],
    ['too little memory', [records(), new Uint8Array(64), wake]],
    ['no callback', [records(), input(), {}]],
    ['no arguments', []],
  ])('refuses %s', (_what, args) => {
    const { openPoller } = native as unknown as Record<string, (...all: unknown[]) => number>
    expect(openPoller?.(...args)).toBe(-EINVAL)
  })

  it('returns a number that means nothing once the poller is closed', () => {
    const poller = native.openPoller(records(), input(), wake)
    expect(poller).toBeGreaterThanOrEqual(0)
    expect(native.closePoller(poller)).toBe(0)
    const other = native.openPoller(records(), input(), wake)
    closeLater(() => {
      native.closePoller(other)
    })
    expect(native.closePoller(poller)).toBe(-EBADF)
    expect(native.watchFd(poller, tcpSocket())).toBe(-EINVAL)
    expect(native.unwatchSlot(poller, 0)).toBe(-EINVAL)
    expect(native.writeToSlot(poller, 0, new Uint8Array(1))).toBe(-EINVAL)
    expect(native.queuedInSlot(poller, 0)).toBe(-EINVAL)
  })

  it('refuses more than 256 pollers, until one is closed', () => {
    const all: number[] = []
    closeLater(() => {
      for (const each of all) native.closePoller(each)
    })
    for (let result = 0; result >= 0; all.push(result)) {
      result = native.openPoller(records(), input(), wake)
      if (result < 0) {
        expect(result).toBe(-EMFILE)
        break
      }
    }
    expect(new Set(all).size).toBe(256)
    const [first = -1, ...rest] = all
    expect(native.closePoller(first)).toBe(0)
    const next = native.openPoller(records(), input(), wake)
    expect(next).toBeGreaterThanOrEqual(0)
    expect(all).not.toContain(next)
    expect(rest.map((each) => native.queuedInSlot(each, 0))).toEqual(rest.map(() => -EBADF))
    all.push(next)
  })
})

linux('a process with a poller', () => {
  it('lives until the poller is closed', async () => {
    expect(await run('alive')).toBe('closed\n')
  })

  it('has an uncaught exception if the callback throws, and the next events are reported', async () => {
    expect(await run('throws')).toBe('thrown by the callback\nclosed\n')
  })

  it('reports the other events of a turn if the listener throws', async () => {
    expect(await run('listener')).toBe('opened 0,opened 1,opened 2\n')
  })

  it('ends if the memory of the poller is detached', async () => {
    expect(await run('detached')).toBe(`${String(-EBADF)}\n`)
  })

  it('can exit while the poller is in use', async () => {
    expect(await run('exit')).toBe('called\n')
  })

  it('has no descriptor left of a closed poller', async () => {
    expect(await run('closed')).toBe('0\n')
  })

  it('has no socket left that a terminated thread polled', async () => {
    expect(await run('worker')).toBe('1 0\n')
  })
})
