"""The methods by name. Adding one: its file, and a line here."""

from lord.methods.derpp import DERpp
from lord.methods.er import ER
from lord.methods.lord import LoRD
from lord.methods.method import Method
from lord.methods.sgd import SGD, Joint

METHODS: dict[str, type[Method]] = {method.name: method for method in (LoRD, DERpp, ER, SGD, Joint)}
