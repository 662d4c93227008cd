import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What the program prints; rejects when it is ended by a signal or fails. */
async function run(program: string): Promise<unknown> {
  const path = join(__dirname, 'options', program)
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--no-warnings', path])
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

describe('the addon in worker threads', () => {
  it('works in several at once, and survives that they are terminated midway', async () => {
    expect(await run('workers-program.js')).toEqual({
      finished: 100,
      terminated: 100,
      exitCodes: { 0: 100, 1: 100 },
      errors: [],
      leakedDescriptors: 0,
      hazardsHere: false,
    })
  }, 300_000)
})

describe('the addon in contexts of their own', () => {
  it('works in each', async () => {
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
