import { execFile, type ExecFileException } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { size } from '../helpers/size'

/** Calls of native functions: more of them under the sanitizers, see .ci/sanitize. */
const NATIVE_CALLS = size('FUZZ_CALLS')
const PUBLIC_CALLS = NATIVE_CALLS / 4
const ROUNDS = 100 + NATIVE_CALLS / 1_000
const DEADLINE_MS = 300_000
/** How much of what a crashed program wrote is shown, in characters. */
const SHOWN = 5_000

interface Found {
  seed?: number
  faults: string[]
  /** How often each function was called, and how many calls succeeded. */
  counts?: Record<string, number>
}

/** What a program of this folder prints; rejects with its seed and the first it wrote when it crashes. */
async function run(program: string, ...args: string[]): Promise<Found> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', '--no-warnings', join(__dirname, program), ...args],
    {
      timeout: DEADLINE_MS,
      // Under AddressSanitizer memory that is lost at the end is a failure.
      env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=1:max_malloc_fill_size=1048576' },
    },
  ).catch((error: unknown) => {
    // After the cause there may be a thousand reports of memory that a program loses by ending so.
    const { code, signal, stderr } = error as ExecFileException
    throw new Error(
      `${program} ended by ${String(code ?? signal)}: ${String(stderr).slice(0, SHOWN)}`,
    )
  })
  return JSON.parse(stdout) as Found
}

/** Prints the seed, which repeats the run: node --expose-gc test/fuzz/PROGRAM CALLS SEED */
async function fuzz(program: string, calls: number): Promise<Record<string, number>> {
  const { seed, faults, counts = {} } = await run(program, String(calls))
  process.stderr.write(`${program} ${String(calls)} ${String(seed)}\n`)
  expect({ seed, faults }).toEqual({ seed, faults: [] })
  return counts
}

describe('hostile arguments', () => {
  it(
    'make no native function crash, throw, run their code, or touch a socket not meant',
    async () => {
      const counts = await fuzz('native-program.js', NATIVE_CALLS)
      // Calls that get past the checks are among them.
      expect(counts.succeeded).toBeGreaterThan(NATIVE_CALLS / 10)
    },
    DEADLINE_MS,
  )

  it(
    'make every public function succeed or throw a code, and touch no socket not meant',
    async () => {
      const counts = await fuzz('library-program.js', PUBLIC_CALLS)
      expect(counts.succeeded).toBeGreaterThan(PUBLIC_CALLS / 10)
      expect(counts.struck).toBeGreaterThan(PUBLIC_CALLS / 100)
    },
    DEADLINE_MS,
  )
})

describe('threads that race for descriptor numbers', () => {
  it(
    'never reach a socket through the object of another',
    async () => {
      expect((await run('race-program.js', String(ROUNDS))).faults).toEqual([])
    },
    DEADLINE_MS,
  )
})
