import { execFile } from 'node:child_process'
import * as path from 'node:path'
import { promisify } from 'node:util'
import { makeCertificate } from '../helpers/certificate'

const PROGRAM = path.join(__dirname, 'lost-carrier-program.js')
const certificate = makeCertificate()

async function reported(side: string, mode: string): Promise<unknown> {
  const told = JSON.stringify({ certificate, side, mode })
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, told])
  return JSON.parse(stdout)
}

describe.each(['client', 'server'])(
  "closeSocket() of a TLS socket in the %s's 'secureConnect', with the connection below destroyed",
  (side) => {
    it.each(['fin', 'deliver', 'lingering', 'reset'])('settles in mode %s', async (mode) => {
      expect(await reported(side, mode)).toEqual(['destroyed'])
    })

    it('settles when a second call asks for a reset', async () => {
      const [first, second] = (await reported(side, 'twice')) as [string, string]
      expect(second).toBe(first)
    })
  },
)
