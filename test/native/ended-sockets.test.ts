import { execFile, execFileSync } from 'node:child_process'
import { constants as os } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { native } from '../../lib/kernel/binding'
import { endedSocketLayout } from '../../lib/kernel/layouts'
import { useNativeProgram } from '../helpers/native-program'
import { closeLater, tcpSocket } from '../sockets'

// Only Linux broadcasts them.
const linux = process.platform === 'linux' ? describe : describe.skip

const { EBADMSG, EINVAL } = os.errno
const records = (): Uint8Array => new Uint8Array(512 * endedSocketLayout.size)
const wake = (): void => undefined
const SIZE = 65_536

async function run(name: string): Promise<string> {
  const args = ['--expose-gc', join(__dirname, 'ended-sockets-program.js'), name]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
  expect(stderr).toBe('')
  return stdout
}

linux('the reader of broadcasts', () => {
  const program = useNativeProgram('native/ended-sockets.cc')

  /** [name, result, port, bytes of info, the last of them] */
  type Line = [string, number, number, number, number]
  let outcomes: Map<string, Line>

  beforeAll(() => {
    const text = execFileSync(program(), { encoding: 'utf8' })
    const lines = text.trimEnd().split('\n')
    outcomes = new Map(lines.map((line) => JSON.parse(line) as Line).map((line) => [line[0], line]))
  })

  it.each<Line>([
    ['a socket', 1, 80, 232, 9],
    ['a socket without info', 1, 80, 0, 0],
    ['info of a newer kernel', 1, 80, 280, 9],
    ['two sockets', 2, 80, 232, 9],
    ['more sockets than there is room for', 4, 80, 0, 0],
    ['another message', 0, 0, 0, 0],
    ['nothing', 0, 0, 0, 0],
    ['half a socket', -EBADMSG, 0, 0, 0],
    ['an attribute beyond the message', 1, 80, 0, 0],
    ['an attribute of length 0', 1, 80, 0, 0],
    ['half an attribute', 1, 80, 0, 0],
  ])('reads %s', (...expected) => {
    expect(outcomes.get(expected[0])).toEqual(expected)
  })

  it('reads ports, unread bytes, the cookie and addresses', () => {
    expect(outcomes.get('fields')).toEqual(['fields', 1, 443, 3, 1])
  })
})

linux('openEndedSockets', () => {
  it.each([
    ['no object', [1, records(), SIZE, wake]],
    ['a function as its owner', [wake, records(), SIZE, wake]],
    ['records of another type', [{}, new Uint32Array(records().length), SIZE, wake]],
    ['too little memory', [{}, new Uint8Array(64), SIZE, wake]],
    ['a buffer that is not whole', [{}, records(), 0.5, wake]],
    ['a negative buffer', [{}, records(), -1, wake]],
    ['too large a buffer', [{}, records(), 2 ** 31, wake]],
    ['no callback', [{}, records(), SIZE, {}]],
    ['no arguments', []],
  ])('refuses %s', (_what, args) => {
    const { openEndedSockets } = native as unknown as Record<string, (...all: unknown[]) => number>
    expect(openEndedSockets?.(...args)).toBe(-EINVAL)
  })

  it('makes an object that only its own functions accept', () => {
    const owner = {}
    expect(native.openEndedSockets(owner, records(), SIZE, wake)).toBe(0)
    closeLater(() => {
      native.closeEndedSockets(owner)
    })
    expect(native.openEndedSockets(owner, records(), SIZE, wake)).toBe(-EINVAL)
    expect(native.disownFd(owner)).toBe(-EINVAL)
    expect(native.ownFd(tcpSocket(), owner)).toBe(-EINVAL)
    expect(native.lostEndedSockets({})).toBe(-EINVAL)
    expect(native.lostEndedSockets(owner)).toBeGreaterThanOrEqual(0)
    expect(native.closeEndedSockets(owner)).toBe(0)
    expect(native.closeEndedSockets(owner)).toBe(-EINVAL)
    expect(native.lostEndedSockets(owner)).toBe(-EINVAL)
    expect(native.closeEndedSockets({})).toBe(-EINVAL)
  })
})

linux('listSockets', () => {
  it.each([
    ['states of another type', ['1', wake]],
    ['no callback', [1]],
    ['a callback that is no function', [1, {}]],
  ])('refuses %s', (_what, args) => {
    const { listSockets } = native as unknown as Record<string, (...all: unknown[]) => number>
    expect(listSockets?.(...args)).toBe(-EINVAL)
  })
})

linux('a process with a subscription to ended sockets', () => {
  it('is not kept alive by it', async () => {
    expect(await run('alive')).toBe('')
  })

  it('has an uncaught exception if the callback throws, and the next ones are reported', async () => {
    expect(await run('throws')).toBe('thrown by the callback\nclosed\n')
  })

  it('gets an error if the memory of the records is detached', async () => {
    expect(await run('detached')).toBe(`${String(-os.errno.EFAULT)}\n`)
  })

  it('can exit while the subscription is in use', async () => {
    expect(await run('exit')).toBe('called\n')
  })

  it('has no descriptor left of a closed subscription', async () => {
    expect(await run('closed')).toBe('20 0\n')
  })

  it('has no descriptor left of a terminated thread', async () => {
    expect(await run('worker')).toBe('0\n')
  })

  it('has no subscription left whose owner is garbage', async () => {
    expect(await run('collected')).toBe('collected\n')
  })
})
