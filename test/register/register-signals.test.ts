import { execFileSync } from 'node:child_process'
import { constants } from 'node:os'
import * as path from 'node:path'
import { native } from '../../lib/kernel/binding'
import { linesOf, Registered, type Ended } from './registered'

type Way =
  | 'no listener'
  | 'a listener that exits'
  | 'a listener that goes on'
  | 'a listener that raises it again'
  | 'a listener that was taken off'
  | 'no time to listen'

const close = 'deliver'
const configuration = { clients: { close }, servers: { close } }
const three = 'closes: 3 deliver; fallbacks: none; 0 left TIME_WAIT; 0 bytes discarded'

/** Returns the lines of the summary in the standard error. */
function summaryOf({ stderr }: Ended): string[] {
  return linesOf(stderr)
    .filter((line) => /attempts tuned|^server .* closes: \d|servers: \d/.test(line))
    .map((line) => line.replace(/127\.0\.0\.1:\d+/, 'here'))
}

interface Death extends Ended {
  signal: NodeJS.Signals | null
}

async function deathOf(program: Registered, ended = program.ended): Promise<Death> {
  return { ...(await ended), signal: program.child.signalCode }
}

/** Starts the program, waits until it is ready, and sends the signal. */
async function signalled(
  way: Way,
  signal: NodeJS.Signals,
  isRegistered: boolean,
): Promise<Registered> {
  const options = isRegistered ? { configuration, debug: true } : { how: undefined }
  const program = new Registered('register-signal-program.js', [way, signal], options)
  await program.printed('ready\n')
  program.child.kill(signal)
  return program
}

/** Does so with and without register. Everything but the summary must be the same. */
async function endedBy(way: Way, signal: NodeJS.Signals): Promise<Death> {
  const [plain, registered] = await Promise.all(
    [false, true].map(async (isRegistered) => deathOf(await signalled(way, signal, isRegistered))),
  )
  if (plain === undefined || registered === undefined) throw new Error('unreachable')
  expect(plain.stderr).toBe('')
  expect({ ...registered, stderr: '' }).toEqual(plain)
  expect(summaryOf(registered)).toEqual([
    `clients: 3 attempts tuned, 0 left alone, 0 not tuned; ${three}`,
    `server here: ${three}`,
    'servers: 1 tuned',
  ])
  return plain
}

const nobody = JSON.stringify({ listeners: [0, 0, 0], named: [] })

describe('the summary of SOCKET_TUNER_DEBUG', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'is written before %s ends a program without a listener for it',
    async (signal) => {
      const ended = await endedBy('no listener', signal)
      expect(ended).toMatchObject({ signal, status: null, stdout: `${nobody}\nready\n` })
    },
  )

  it('is written before a signal ends a program that is busy', async () => {
    const ended = await endedBy('no time to listen', 'SIGTERM')
    expect(ended).toMatchObject({ signal: 'SIGTERM', status: null })
  })

  it("is written when the program's own listener exits", async () => {
    const ended = await endedBy('a listener that exits', 'SIGINT')
    expect(ended).toMatchObject({ signal: null, status: 7 })
    expect(ended.stdout).toMatch(/ready\nhandled\n$/)
  })

  it("is written when the program's own listener raises the signal again", async () => {
    const ended = await endedBy('a listener that raises it again', 'SIGTERM')
    expect(ended).toMatchObject({ signal: 'SIGTERM', status: null })
    expect(ended.stdout).toMatch(/ready\nhandled\n$/)
  })

  it("is written if the program's listener was removed", async () => {
    const ended = await endedBy('a listener that was taken off', 'SIGHUP')
    expect(ended).toMatchObject({
      ...{ signal: 'SIGHUP', status: null, stdout: `${nobody}\nready\n` },
    })
  })

  it("is not written if the program's own listener lets the program continue", async () => {
    const program = await signalled('a listener that goes on', 'SIGTERM', true)
    await program.printed('handled\n')
    program.child.kill('SIGTERM')
    await program.printed('handled\nhandled\n')
    expect(program.stderr).not.toContain('attempts tuned')
    const ended = await deathOf(program, program.stop())
    expect(ended).toMatchObject({ signal: null, status: 0 })
    expect(summaryOf(ended)).toHaveLength(3)
  })
})

describe('native.writeOnSignal()', () => {
  it('accepts only signals that request the end of a process, and does not override existing handlers', () => {
    const { SIGKILL, SIGUSR1, SIGHUP } = constants.signals
    const binding = path.join(__dirname, '..', '..', 'dist', 'kernel', 'binding.js')
    const program = `
      const { native } = require(${JSON.stringify(binding)})
      const results = [${String(SIGKILL)}, ${String(SIGUSR1)}].map((signal) => native.writeOnSignal(signal))
      const listener = () => undefined
      process.on('SIGHUP', listener)
      results.push(native.writeOnSignal(${String(SIGHUP)}))
      process.off('SIGHUP', listener)
      results.push(native.writeOnSignal(${String(SIGHUP)}), native.writeOnSignal(${String(SIGHUP)}))
      console.log(JSON.stringify(results))`
    const results: unknown = JSON.parse(
      execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }),
    )
    const { EINVAL } = constants.errno
    expect(results).toEqual([-EINVAL, -EINVAL, 0, 1, 1])
  })
})

describe('native.setSignalText()', () => {
  it('accepts no more than a pipe can accept at once', () => {
    expect(native.setSignalText(new Uint8Array(4097))).toBe(-constants.errno.EINVAL)
    expect(native.setSignalText(new Uint8Array(4096))).toBe(0)
    expect(native.setSignalText(new Uint8Array(0))).toBe(0)
  })
})
