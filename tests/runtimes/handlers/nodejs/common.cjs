// As a CommonJS module.
exports.handler = require("./deeds.cjs").act;
