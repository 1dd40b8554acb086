package connect

var Leads = leads
