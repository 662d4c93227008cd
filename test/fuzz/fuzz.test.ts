import { execFile, type ExecFileException } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { size } from '../helpers/size'

/** The number of calls of native functions; more under the sanitizers, see .ci/sanitize. */
const NATIVE_CALLS = size('FUZZ_CALLS')
const PUBLIC_CALLS = NATIVE_CALLS / 4
const ROUNDS = 100 + NATIVE_CALLS / 1_000
const DEADLINE_MS = 300_000
/** The most characters of the output of a crashed program to show. */
const SHOWN = 5_000

interface Found {
  seed?: number
  faults: string[]
  /** The number of calls of each function, and of those that succeeded. */
  counts?: Record<string, number>
}

/** Runs a program of this folder and returns its result. Rejects with its seed and its first output if it crashes. */
async function run(program: string, ...args: string[]): Promise<Found> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', '--no-warnings', join(__dirname, program), ...args],
    {
      timeout: DEADLINE_MS,
      // Under AddressSanitizer, memory that is leaked at the end is a failure.
      env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=1:max_malloc_fill_size=1048576' },
    },
  ).catch((error: unknown) => {
    // The cause may be followed by a thousand reports of memory that the crash leaked.
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
    'make no native function crash, throw, run their code, or affect another socket',
    async () => {
      const counts = await fuzz('native-program.js', NATIVE_CALLS)
      // Some calls must pass the checks.
      expect(counts.succeeded).toBeGreaterThan(NATIVE_CALLS / 10)
    },
    DEADLINE_MS,
  )

  it(
    'make every public function succeed or throw a coded error, and affect no other socket',
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
