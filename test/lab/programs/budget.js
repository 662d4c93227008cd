'use strict'

/** Answers each question with a budget of its namespace. */
const { portBudget } = require('../../../dist')
const { ready } = require('./parent')

ready({}, { budget: (options) => portBudget(options) })
