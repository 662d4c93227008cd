/** The names of the options, which are known before the rows of the catalogue are evaluated. */
import { execFileSync } from 'node:child_process'
import * as path from 'node:path'
import { optionNames } from '../../lib'
import { catalogue } from '../../lib/options/catalogue'

const dist = path.join(__dirname, '..', '..', 'dist')

describe('optionNames', () => {
  it('lists every row of the catalogue in its order', () => {
    expect(optionNames).toEqual(Object.keys(catalogue))
    expect(Object.isFrozen(optionNames)).toBe(true)
  })
})

describe('the catalogue', () => {
  it('is read when the library is loaded, since a process may have no descriptor left later', () => {
    const program = `
      const { describeOption, optionNames } = require(process.argv[1])
      const isLoaded = () => process.argv[2] in require.cache
      const before = isLoaded()
      const { level } = describeOption(optionNames[0])
      console.log(JSON.stringify([before, isLoaded(), level]))`
    const args = ['-e', program, dist, path.join(dist, 'options', 'catalogue.js')]
    const output = execFileSync(process.execPath, args, { encoding: 'utf8' })
    expect(JSON.parse(output)).toEqual([true, true, 'SOL_SOCKET'])
  })
})
