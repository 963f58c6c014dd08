"""The methods by name. Adding one: its file, and a line here."""

from lord.methods.der import DER
from lord.methods.derpp import DERpp
from lord.methods.er import ER
from lord.methods.er_ace import ERACE
from lord.methods.er_las import ERLAS
from lord.methods.gdumb import GDumb
from lord.methods.lord import LoRD
from lord.methods.lord_plus import LoRDPlus
from lord.methods.mean_er import CLSER, MeanER
from lord.methods.method import Method
from lord.methods.sgd import SGD, Joint

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (LoRD, LoRDPlus, DERpp, DER, ER, ERLAS, ERACE, MeanER, CLSER, GDumb, SGD, Joint)
}
