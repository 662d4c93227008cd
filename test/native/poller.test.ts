import { execFile } from 'node:child_process'
import { constants as os } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { native } from '../../lib/kernel/binding'
import { closeLater, tcpSocket } from '../sockets'

// Only Linux has epoll(7).
const linux = process.platform === 'linux' ? describe : describe.skip

const { EINVAL, EBADF } = os.errno
const records = (): Int32Array => new Int32Array(64)
const input = (): Uint8Array => new Uint8Array(8_192)
const wake = (): void => undefined

async function run(name: string): Promise<string> {
  const args = ['--expose-gc', join(__dirname, 'poller-program.js'), name]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
  expect(stderr).toBe('')
  return stdout
}

linux('openPoller', () => {
  it.each([
    ['no object', [1, records(), input(), wake]],
    ['a function as its owner', [wake, records(), input(), wake]],
    ['records of another type', [{}, new Uint32Array(64), input(), wake]],
    ['too few records', [{}, new Int32Array(8), input(), wake]],
    ['too little memory', [{}, records(), new Uint8Array(64), wake]],
    ['no callback', [{}, records(), input(), {}]],
    ['no arguments', []],
  ])('refuses %s', (_what, args) => {
    const { openPoller } = native as unknown as Record<string, (...all: unknown[]) => number>
    expect(openPoller?.(...args)).toBe(-EINVAL)
  })

  it('refuses an object that owns a poller', () => {
    const owner = {}
    expect(native.openPoller(owner, records(), input(), wake)).toBe(0)
    closeLater(() => {
      native.closePoller(owner)
    })
    expect(native.openPoller(owner, records(), input(), wake)).toBe(-EINVAL)
  })

  it('makes an object that only its own functions accept', () => {
    const owner = {}
    expect(native.openPoller(owner, records(), input(), wake)).toBe(0)
    expect(native.disownFd(owner)).toBe(-EINVAL)
    expect(native.ownFd(tcpSocket(), owner)).toBe(-EINVAL)
    expect(native.closePoller(owner)).toBe(0)
    expect(native.closePoller(owner)).toBe(-EBADF)
    expect(native.closePoller({})).toBe(-EBADF)
    expect(native.watchFd({}, tcpSocket())).toBe(-EINVAL)
    expect(native.unwatchSlot(owner, 0)).toBe(-EINVAL)
    expect(native.writeToSlot(owner, 0, new Uint8Array(1))).toBe(-EINVAL)
    expect(native.queuedInSlot(owner, 0)).toBe(-EINVAL)
  })
})

linux('a process with a poller', () => {
  it('lives until the poller is closed', async () => {
    expect(await run('alive')).toBe('closed\n')
  })

  it('has an uncaught exception if the callback throws, and the next events are reported', async () => {
    expect(await run('throws')).toBe('thrown by the callback\nclosed\n')
  })

  it('ends if the memory of the poller is detached', async () => {
    expect(await run('detached')).toBe(`${String(-EBADF)}\n`)
  })

  it('can exit while the poller is in use', async () => {
    expect(await run('exit')).toBe('called\n')
  })

  it('has no descriptor left of a closed poller', async () => {
    expect(await run('closed')).toBe('20 0\n')
  })

  it('has no socket left that a terminated thread polled', async () => {
    expect(await run('worker')).toBe('1 0\n')
  })

  it('has no poller left whose owner is garbage', async () => {
    expect(await run('collected')).toBe('collected\n')
  })
})
