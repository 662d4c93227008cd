'use strict'

/**
 * Builds the project for `npm ci` and `npm install`. `npm pack` and `npm publish` run this too, but after `prepack`,
 * whose files are those of the package.
 */
const { execSync } = require('node:child_process')

if (!['pack', 'publish'].includes(process.env.npm_command)) {
  execSync('npm run build', { stdio: 'inherit' })
}
