import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { size } from './helpers/size'

const ROUNDS = size('WORKER_ROUNDS')

/** Returns the output of the program. Rejects if it fails or is ended by a signal. */
async function run(program: string, ...args: string[]): Promise<unknown> {
  const line = ['--no-warnings', join(__dirname, 'options', program), ...args]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, line)
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

describe('the addon in worker threads', () => {
  it('works in several threads at once, and survives their termination', async () => {
    expect(await run('workers-program.js', String(ROUNDS))).toEqual({
      finished: 2 * ROUNDS,
      terminated: 2 * ROUNDS,
      exitCodes: { 0: 2 * ROUNDS, 1: 2 * ROUNDS },
      errors: [],
      leakedDescriptors: 0,
      hazardsHere: false,
    })
  }, 300_000)
})

describe('the addon in separate vm contexts', () => {
  it('works in each context', async () => {
    const worked = {
      fd: true,
      set: 0,
      setBytes: 0,
      get: 1,
      linger: [8, [1, 0, 0, 0, 0, 0, 0, 0]],
      close: 0,
      closed: true,
    }
    expect(await run('contexts-program.js')).toEqual({
      results: [worked, worked, worked],
      same: false,
    })
  })
})
